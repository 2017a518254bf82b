"""Wakes workers that have nothing to do, and stands watch at the queues of the shards for them.

With one shard a worker waits in Redis itself and is given the next event there. It can wait at one place
only, so with several shards a thread for each watches its queue while that is empty, and rings.
"""

from __future__ import annotations

import threading

from mutt_appliance.alerter.shard_view import ShardView
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.events import wait_until_filled
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("alerter.bell")
WAIT_SLICE_SECS = 0.5


class Bell:
    """Rung for each queue in which there is something to do, and when a shard answers again."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._condition = threading.Condition()
        self._rung = 0

    @property
    def rung(self) -> int:
        """How often it was rung; to be read before looking for work, and given to `wait`."""
        return self._rung

    def ring(self, *, for_all: bool = False) -> None:
        """Wake one worker, or all of them."""
        with self._condition:
            self._rung += 1
            self._condition.notify_all() if for_all else self._condition.notify()

    def wait(self, rung: int, secs: float) -> None:
        """Sleep until it is rung, for `secs` at most; not at all if it was since it had been rung `rung` times."""
        with self._condition:
            if self._rung == rung:
                self._condition.wait(secs)

    def watch(self, view: ShardView) -> None:
        """Ring from now on when something comes into the empty queue of a shard (in a daemon thread)."""
        name = f"bell-{view.shard.number}"
        threading.Thread(target=self._watch, args=(view,), name=name, daemon=True).start()

    def _watch(self, view: ShardView) -> None:
        while not self._stopping.is_set():
            if not view.empty.wait(WAIT_SLICE_SECS):
                continue
            try:
                if not wait_until_filled(view.shard, WAIT_SLICE_SECS):
                    continue
            except RedisError as error:
                # A worker meets the same trouble when it looks, and reports it.
                log.debug("queue not watched", shard=view.shard.number, error=str(error))
                self._stopping.wait(WAIT_SLICE_SECS)
            view.empty.clear()
            self.ring()
