"""A shard as the workers of an alerter process know it together: what waits there, and whether it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mutt_appliance.backoff import Backoff
from mutt_appliance.queueing.shards import BlockingShard

BACKOFF_FIRST_SECS = 0.1
BACKOFF_MAX_SECS = 2.0
# Redis answers in milliseconds; where somebody waits for so long, the others better work elsewhere.
SLOW_SECS = 1.0
# Depths of a shard that has nothing for the alerter are still needed while its alerts are being forwarded.
DEPTHS_STALE_SECS = 1.0


class ShardView:
    """Safe to use from any thread."""

    def __init__(self, shard: BlockingShard, look_secs: float) -> None:
        """An empty shard is looked at every `look_secs`, whatever is known of it."""
        self.shard = shard
        self.alert_depth = 0
        self.dead_depth = 0
        # Set while nothing is in the ingest queue as far as anybody knows.
        self.empty = threading.Event()
        self._look_secs = look_secs
        self._seen_at = float("-inf")
        self._lock = threading.Lock()
        self._asking: dict[int, float] = {}
        self._failing = False
        self._again_at = 0.0
        self._backoff = Backoff(BACKOFF_FIRST_SECS, BACKOFF_MAX_SECS)

    def seen(self, alert_depth: int, dead_depth: int, ingest_depth: int | None = None) -> None:
        """Note depths that Redis told just now; without `ingest_depth` whether there is work stays as it was."""
        self.alert_depth, self.dead_depth = alert_depth, dead_depth
        self._seen_at = time.monotonic()
        if ingest_depth is not None:
            self.empty.clear() if ingest_depth else self.empty.set()

    def due_in(self) -> float:
        """Seconds until the shard should be looked at, 0 for now; not sooner than its trouble allows."""
        now = time.monotonic()
        stale_secs = DEPTHS_STALE_SECS if self.alert_depth else self._look_secs
        due_at = self._seen_at + stale_secs if self.empty.is_set() else now
        return max(0.0, due_at - now, self._again_at - now if self._failing else 0.0)

    @property
    def answers(self) -> bool:
        """False while it is in trouble."""
        return not self._failing

    def admits(self) -> bool:
        """False while it is in trouble and somebody asks already, or somebody waits for an answer for too long."""
        with self._lock:
            if self._failing:
                return not self._asking and time.monotonic() >= self._again_at
            oldest = min(self._asking.values(), default=float("inf"))
        return time.monotonic() - oldest < SLOW_SECS

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around each question to its Redis that does not wait for something to happen."""
        me = threading.get_ident()
        with self._lock:
            self._asking[me] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._asking[me]

    def well(self) -> bool:
        """It answered; True if it had failed before."""
        was, self._failing = self._failing, False
        self._backoff.reset()
        return was

    def failed(self) -> None:
        """It did not: nobody asks again for a while, which grows. What it held does not count for the depths."""
        with self._lock:
            self._failing = True
            self._again_at = time.monotonic() + self._backoff.next_secs()
            self.alert_depth = 0
            self.empty.clear()
