"""The `traceparent` of W3C Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header), pure.

`tracestate` is not carried: no part of MUTT reads it, and it may be as long as half an event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Later versions may add parts after another dash; so long, and no longer, is what is looked at.
LONGEST_CHARS = 512
SAMPLED_BIT = 1
_FORM = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A span that another one continues."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"


def parse_traceparent(value: object) -> TraceParent | None:
    """What `value` says, None for anything that is no traceparent: then a trace begins anew."""
    if not isinstance(value, str) or len(value) > LONGEST_CHARS:
        return None
    match = _FORM.fullmatch(value)
    if match is None or (match[1] == "00" and match[5] is not None):
        return None
    return TraceParent(int(match[2], 16), int(match[3], 16), bool(int(match[4], 16) & SAMPLED_BIT))
