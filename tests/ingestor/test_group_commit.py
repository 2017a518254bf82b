"""Many requests, few round trips, and every request gets its own answer."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from mutt_appliance.ingestor.group_commit import (
    MANY_EVENTS,
    MAX_EVENTS_PER_CALL,
    MAX_EVENTS_WAITING,
    GroupCommit,
    OverloadedError,
)
from mutt_appliance.queueing.client import RedisConnectionError
from mutt_appliance.queueing.intake import IngestQueue, Intake, IntakeResult


class HeldQueue:
    """Stands at the boundary to Redis: each call waits until the test lets it go."""

    def __init__(self) -> None:
        self.calls: list[list[Intake]] = []
        self.gate = asyncio.Event()
        self.duplicates: frozenset[int] = frozenset()
        self.error: Exception | None = None

    async def put(self, intakes: list[Intake]) -> IntakeResult:
        self.calls.append(intakes)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return IntakeResult(True, 0, 0, self.duplicates)


def intake(count: int) -> Intake:
    return Intake([(b"", b"{}")] * count, [])


def test_requests_that_arrive_while_redis_works_leave_together() -> None:
    async def main() -> None:
        queue = HeldQueue()
        commit = GroupCommit(cast(IngestQueue, queue))
        first = [asyncio.create_task(commit.submit(intake(1))) for _ in range(3)]
        while not queue.calls:
            await asyncio.sleep(0)
        later = [asyncio.create_task(commit.submit(intake(1))) for _ in range(50)]
        queue.gate.set()
        results = await asyncio.gather(*first, *later)
        assert all(result.accepted for result in results)
        assert [len(call) for call in queue.calls] == [3, 50]

    asyncio.run(main())


def test_batches_do_not_wait_for_the_call_under_way() -> None:
    async def main() -> None:
        queue = HeldQueue()
        commit = GroupCommit(cast(IngestQueue, queue))
        tasks = []
        for call in (1, 2):
            tasks.append(asyncio.create_task(commit.submit(intake(MANY_EVENTS))))
            while len(queue.calls) < call:
                await asyncio.sleep(0)
        queue.gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_each_request_is_told_its_own_duplicates() -> None:
    async def main() -> None:
        queue = HeldQueue()
        queue.duplicates = frozenset({0, 3, 4})
        queue.gate.set()
        commit = GroupCommit(cast(IngestQueue, queue))
        results = await asyncio.gather(*(commit.submit(intake(count)) for count in (2, 1, 3)))
        assert [sorted(result.duplicates) for result in results] == [[0], [], [0, 1]]
        assert len(queue.calls) == 1

    asyncio.run(main())


def test_an_error_of_redis_reaches_every_request_of_the_call() -> None:
    async def main() -> None:
        queue = HeldQueue()
        queue.error = RedisConnectionError("gone")
        queue.gate.set()
        commit = GroupCommit(cast(IngestQueue, queue))
        answers = await asyncio.gather(*(commit.submit(intake(1)) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RedisConnectionError] * 3
        queue.error = None
        assert (await commit.submit(intake(1))).accepted, "the next call is tried again"

    asyncio.run(main())


def test_large_requests_are_not_piled_into_one_call() -> None:
    async def main() -> None:
        queue = HeldQueue()
        queue.gate.set()
        commit = GroupCommit(cast(IngestQueue, queue))
        half = MAX_EVENTS_PER_CALL // 2
        await asyncio.gather(*(commit.submit(intake(half)) for _ in range(5)))
        assert all(sum(len(i.events) for i in call) <= MAX_EVENTS_PER_CALL for call in queue.calls)

    asyncio.run(main())


def test_a_client_that_went_away_does_not_disturb_the_others() -> None:
    async def main() -> None:
        queue = HeldQueue()
        commit = GroupCommit(cast(IngestQueue, queue))
        gone, stays = (asyncio.create_task(commit.submit(intake(1))) for _ in range(2))
        while not queue.calls:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        queue.gate.set()
        assert (await stays).accepted

    asyncio.run(main())


def test_more_than_memory_should_hold_is_refused() -> None:
    async def main() -> None:
        queue = HeldQueue()
        commit = GroupCommit(cast(IngestQueue, queue))
        tasks = [asyncio.create_task(commit.submit(intake(MAX_EVENTS_WAITING // 2))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await commit.submit(intake(1))
        queue.gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
