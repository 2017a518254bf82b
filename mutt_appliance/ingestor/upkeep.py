"""What goes on beside the requests: a look at each shard, the counts of accepted events.

Each is a task of its own, so that one shard that does not answer keeps nothing else waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from mutt_appliance.ingestor.doors import Door, Doors
from mutt_appliance.ingestor.rates import AcceptedCounter
from mutt_appliance.process import Child
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.fullness import is_full, trouble_of
from mutt_appliance.queueing.shards import AsyncShard, note_in_use
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("ingestor")
LOOK_SECS = 1.0
LOOK_AWAY_SECS = 0.25
NOTE_SHARDS_SECS = 60.0
# Above this share of the cap the queue is reported as nearly full.
NEARLY_FULL = 0.9


class Upkeep:
    """Keeps an eye on the shards for the gate of `Doors` and the health board."""

    def __init__(self, child: Child, home: AsyncShard, doors: Doors, accepted: AcceptedCounter) -> None:
        self._child = child
        self._home = home
        self._doors = doors
        self._accepted = accepted
        self._noted_at = -NOTE_SHARDS_SECS
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look at everything once, then begin to do it again and again."""
        await asyncio.gather(self._count(), *(self._look(door) for door in self._doors.all))
        self._tasks = [asyncio.create_task(self._again(self._count, lambda: LOOK_SECS))]
        for door in self._doors.all:
            self._tasks.append(asyncio.create_task(self._watch(door)))

    async def stop(self) -> None:
        """End, and write the counts that are left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._count()

    async def _watch(self, door: Door) -> None:
        await self._again(lambda: self._look(door), lambda: LOOK_AWAY_SECS if door.fault else LOOK_SECS)

    async def _again(self, work: Callable[[], Awaitable[None]], secs: Callable[[], float]) -> None:
        while True:
            await asyncio.sleep(secs())
            await work()

    async def _look(self, door: Door) -> None:
        component = door.shard.component("redis")
        try:
            async with asyncio.timeout(self._child.settings.redis_timeout):
                await door.look()
        except (RedisError, OSError, TimeoutError) as error:
            text = trouble_of(self._child.settings.redis_where, error)
            if self._child.health.set(component, False, text):
                state = "full" if is_full(error) else "away"
                log.error(f"{component} is {state}, events are refused with 503", error=str(error))
        else:
            if self._child.health.set(component, True):
                log.info(f"{component} answers")
        self._queue_health()

    def _queue_health(self) -> None:
        """How full the fullest queue is."""
        door, cap = self._doors.fullest, self._child.settings.max_ingest_queue_size
        limit = f"MAX_INGEST_QUEUE_SIZE={cap}"
        if len(self._doors.all) > 1:
            limit = f"{door.cap}, the part of shard {door.shard.number} in {limit}"
        self._child.health.fact("ingest_queue_depth", self._doors.depth)
        if door.depth >= door.cap:
            self._child.health.set("ingest_queue", False, f"full: {limit}; events are refused with 503")
        elif door.depth >= NEARLY_FULL * door.cap:
            self._child.health.set("ingest_queue", True, f"nearly full: over {NEARLY_FULL:.0%} of {limit}")
        else:
            self._child.health.set("ingest_queue", True)

    async def _count(self) -> None:
        # Home being away is reported by the look at it; the counts are kept.
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._child.settings.redis_timeout):
                await self._accepted.flush()
                if time.monotonic() - self._noted_at >= NOTE_SHARDS_SECS:
                    await note_in_use(self._home, len(self._doors.all))
                    self._noted_at = time.monotonic()
