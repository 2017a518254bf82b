"""Many requests, few round trips: what arrives while Redis works goes out together in the next call."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.intake import IngestQueue, Intake, IntakeResult

# Events in one script call: large enough that a call costs little per event, small enough that Redis
# answers others in between.
MAX_EVENTS_PER_CALL = 4000
# Events that may wait in memory while Redis is slow; beyond it requests are refused with 503.
MAX_EVENTS_WAITING = 200_000
CALLS_AT_ONCE = 2
# A second call beside the first pays for batches; single events are cheaper if more of them share one.
MANY_EVENTS = 500


class OverloadedError(Exception):
    """More is waiting for Redis than this process is willing to hold."""


@dataclass
class _Waiting:
    intake: Intake
    size: int
    done: asyncio.Future[IntakeResult]


class GroupCommit:
    """Collects the intakes of concurrent requests and puts them into the queue together."""

    def __init__(self, queue: IngestQueue) -> None:
        self._queue = queue
        self._waiting: deque[_Waiting] = deque()
        self._events_waiting = 0
        self._calls = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, intake: Intake) -> IntakeResult:
        """Queue an intake; returns when Redis has it. Raises RedisError or OverloadedError."""
        size = len(intake.events) + len(intake.dead)
        if self._events_waiting + size > MAX_EVENTS_WAITING:
            raise OverloadedError
        waiting = _Waiting(intake, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._events_waiting += size
        if self._calls == 0 or (self._calls < CALLS_AT_ONCE and self._events_waiting >= MANY_EVENTS):
            self._calls += 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiting.done

    async def _work(self) -> None:
        try:
            # One turn of the loop, so that requests that arrived together also leave together.
            await asyncio.sleep(0)
            while self._waiting:
                await self._put(self._next_group())
        finally:
            self._calls -= 1

    def _next_group(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        size = group[0].size
        while self._waiting and size + self._waiting[0].size <= MAX_EVENTS_PER_CALL:
            size += self._waiting[0].size
            group.append(self._waiting.popleft())
        self._events_waiting -= size
        return group

    async def _put(self, group: list[_Waiting]) -> None:
        try:
            result = await self._queue.put([waiting.intake for waiting in group])
        except (RedisError, OSError) as error:
            for waiting in group:
                with contextlib.suppress(asyncio.InvalidStateError):
                    waiting.done.set_exception(error)
            return
        first = 0
        for waiting in group:
            last = first + len(waiting.intake.events)
            own = result
            if len(group) > 1 and result.duplicates:
                mine = frozenset(i - first for i in result.duplicates if first <= i < last)
                own = IntakeResult(result.accepted, result.queue_depth, result.dead_depth, mine)
            first = last
            # The client may have gone away meanwhile; its events are queued all the same.
            with contextlib.suppress(asyncio.InvalidStateError):
                waiting.done.set_result(own)
