"""Which of many alike log lines are written (pure): the first ones of a period, and the first of each kind."""

from __future__ import annotations

from dataclasses import dataclass, field

Key = tuple[str, str, str]
"""Module, level and event of a line."""

# A line of another kind is written although the limit is reached, for so many kinds in a period.
KINDS_MOST = 20
# So many keys are told apart in a period; what comes then counts as one key of its module and level.
KEYS_MOST = 500
ANY_EVENT = "(any)"


@dataclass(frozen=True)
class LeftOut:
    """How many lines of a key were left out in a period."""

    key: Key
    lines: int


@dataclass
class _Window:
    ends_at: float
    written: int = 0
    left_out: int = 0
    kinds: set[str] = field(default_factory=set)


class Throttle:
    """Counts lines by key in periods of `period_secs` that begin with the first line; times come in."""

    def __init__(self, limit: int, period_secs: float) -> None:
        self._limit = limit
        self._period_secs = period_secs
        self._windows: dict[Key, _Window] = {}
        self._over: list[LeftOut] = []

    def admits(self, key: Key, kind: str, now: float) -> bool:
        """True if the line is written; `kind` tells apart what has the same event."""
        window = self._window(key, now)
        news = kind not in window.kinds and len(window.kinds) < KINDS_MOST
        if news:
            window.kinds.add(kind)
        if news or window.written < self._limit:
            window.written += 1
            return True
        window.left_out += 1
        return False

    def over(self, now: float) -> list[LeftOut]:
        """What was left out in periods that are over at `now`; each is told once."""
        for key in [key for key, window in self._windows.items() if window.ends_at <= now]:
            self._end(key)
        over, self._over = self._over, []
        return over

    def next_end(self) -> float | None:
        """When the next period ends in which something was left out."""
        return min((each.ends_at for each in self._windows.values() if each.left_out), default=None)

    def _window(self, key: Key, now: float) -> _Window:
        window = self._windows.get(key)
        if window is None and len(self._windows) >= KEYS_MOST:
            for other in [name for name, each in self._windows.items() if each.ends_at <= now]:
                self._end(other)
            if len(self._windows) >= KEYS_MOST:
                key = (*key[:2], ANY_EVENT)
                window = self._windows.get(key)
        if window is not None and window.ends_at <= now:
            self._end(key)
            window = None
        if window is None:
            window = self._windows[key] = _Window(now + self._period_secs)
        return window

    def _end(self, key: Key) -> None:
        window = self._windows.pop(key)
        if window.left_out:
            self._over.append(LeftOut(key, window.left_out))
