"""How dense points in time are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def most_in_a_window(times: Sequence[float], window: float) -> int:
    """The most of `times` that lie in any one window, which takes in its beginning and not its end."""
    ordered = sorted(times)
    return max((bisect_left(ordered, begun + window) - n for n, begun in enumerate(ordered)), default=0)
