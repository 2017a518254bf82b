"""Keeps a storm of one warning from filling the disk: writes some of the lines, and how many were left out."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Final

import structlog
from structlog.typing import EventDict

from mutt_appliance.telemetry.throttle import Key, Throttle

PERIOD_SECS: Final = 60.0
SUMMARY: Final = "more like this were left out"
THROTTLED: Final = ("warning", "error", "critical")
# What tells two lines of one event apart: a second reason is news although the first one is not any more.
KIND_FIELDS: Final = ("reason", "error", "child", "state", "component", "setting", "rule_id")
KIND_MAX_CHARS = 100


class Repeats:
    """A processor of structlog and a filter of logging in one; both count together."""

    def __init__(self, limit: int, period_secs: float = PERIOD_SECS) -> None:
        """At most `limit` lines of one event in `period_secs`, beside the first of each kind."""
        self._throttle = Throttle(limit, period_secs)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __call__(self, _: object, __: str, event: EventDict) -> EventDict:
        """As a processor, after the level was added. Raises DropEvent."""
        level, text = event.get("level", ""), str(event.get("event"))
        if level in THROTTLED and text != SUMMARY:
            kind = "|".join(str(event[name])[:KIND_MAX_CHARS] for name in KIND_FIELDS if name in event)
            if not self._admits((str(event.get("module")), level, text), kind):
                raise structlog.DropEvent
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """As a filter of a handler, for what libraries log."""
        level = record.levelname.lower()
        if level not in THROTTLED:
            return True
        return self._admits((record.name, level, str(record.msg)), record.getMessage()[:KIND_MAX_CHARS])

    def tell(self, now: float | None = None) -> None:
        """Write what was left out in periods that are over; with `now` at infinity in all of them."""
        with self._lock:
            over = self._throttle.over(time.monotonic() if now is None else now)
        for left_out in over:
            module, level, event = left_out.key
            structlog.get_logger(module=module).log(
                logging.getLevelName(level.upper()), SUMMARY, like=event, lines=left_out.lines
            )

    def finish(self) -> None:
        """The process ends: nothing is kept back."""
        self.tell(math.inf)

    def _admits(self, key: Key, kind: str) -> bool:
        with self._lock:
            admitted = self._throttle.admits(key, kind, time.monotonic())
            if not admitted:
                self._wake_at_end()
        self.tell()
        return admitted

    def _wake_at_end(self) -> None:
        """Nobody may log at all when the storm is over; the lock is held."""
        ends_at = self._throttle.next_end()
        if self._timer is None and ends_at is not None:
            self._timer = threading.Timer(max(ends_at - time.monotonic(), 0.0), self._ended)
            self._timer.name, self._timer.daemon = "repeats", True
            self._timer.start()

    def _ended(self) -> None:
        self.tell()
        with self._lock:
            self._timer = None
            self._wake_at_end()
