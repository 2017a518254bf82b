"""Events per second in time windows (1m/1h/24h), at one write per second and process.

Keys are `<METRICS_PREFIX>:<window>:<number>`, where number = epoch seconds // window length; the
value is how many events were accepted in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A counter's length and how long it is kept, in seconds."""

    name: str
    length_secs: int
    keep_secs: int


WINDOWS = (
    Window("1m", 60, 2 * 3600),
    Window("1h", 3600, 49 * 3600),
    Window("24h", 86400, 32 * 86400),
)


def counter_keys(prefix: str, now_secs: float, windows: Sequence[Window] = WINDOWS) -> list[tuple[str, int]]:
    """(key, seconds to live) of the counters that what happened at `now_secs` belongs to."""
    return [(f"{prefix}:{w.name}:{int(now_secs) // w.length_secs}", w.keep_secs) for w in windows]


def keys_between(prefix: str, window: Window, start_secs: float, end_secs: float) -> list[str]:
    """Keys of the counters of `window` that touch [start_secs, end_secs], oldest first."""
    first, last = int(start_secs) // window.length_secs, int(end_secs) // window.length_secs
    return [f"{prefix}:{window.name}:{number}" for number in range(first, last + 1)]
