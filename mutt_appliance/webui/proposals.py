"""From a message that no rule handles to where a rule for it could begin (pure)."""

from __future__ import annotations

import re
from typing import Any

from mutt_appliance.rules.patterns import fold

LITERAL_MIN_CHARS = 8
LITERAL_MAX_CHARS = 80
# What names a kind of message: %LINK-3-UPDOWN, or program[pid]:.
_MNEMONIC = re.compile(r"%[A-Z][A-Z0-9_]+-(?:[A-Z0-9_]+-)*\d-[A-Z0-9_]+")


def proposal(message: str | None, trap_oid: str | None) -> dict[str, Any] | None:
    """Fields of a rule: the trap's OID, a mnemonic, or the longest part of the text that does not vary."""
    if trap_oid:
        return {"match_type": "oid_prefix", "match_string": None, "trap_oid": trap_oid}
    if not message or not message.strip():
        return None
    mnemonic = _MNEMONIC.search(message)
    literal = mnemonic[0] if mnemonic else _longest_literal(message)
    return {"match_type": "contains", "match_string": literal, "trap_oid": None}


def _longest_literal(message: str) -> str:
    parts = [part.strip() for part in fold(message).split("#")]
    # What was a # itself is no place to cut at, but then the part is not in the message.
    kept = [part for part in parts if len(part) >= LITERAL_MIN_CHARS and part in message]
    longest = max(kept, key=len, default=message.strip())
    if len(longest) <= LITERAL_MAX_CHARS:
        return longest
    return longest[:LITERAL_MAX_CHARS].rsplit(" ", 1)[0] or longest[:LITERAL_MAX_CHARS]
