"""Replay of the dead letters of a queue, by one process at a time; any other can tell how far it is (asyncio)."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

from mutt_appliance.events.admission import Limits
from mutt_appliance.queueing.dead_letter import now_rfc3339
from mutt_appliance.queueing.dead_letters import (
    CHUNK,
    DeadLetters,
    Letter,
    LetterFilter,
    NotReplayableError,
    QueueName,
    Sweep,
    replayed,
)
from mutt_appliance.queueing.scripts import text
from mutt_appliance.queueing.shards import AsyncShard

# Who does not renew this has ended, and another may begin.
LOCK_SECS = 30
KEPT_SECS = 24 * 3600
RATE_LEAST = 0.1
"""Letters per second: the pauses of a slower replay would outlast its lock."""


class Replay:
    """A replay that holds the lock of its queue. Every method may raise redis.RedisError."""

    def __init__(self, home: AsyncShard, sweep: Sweep, rate: float | None) -> None:
        """`rate` is how many letters a second may go on, None for as many as can."""
        self._home = home
        self._rate = rate
        self._lock = home.keys.replay(sweep.letters.queue) + ":lock"
        self.sweep = sweep

    @classmethod
    async def begin(
        cls,
        home: AsyncShard,
        letters: DeadLetters,
        wanted: LetterFilter,
        person: str,
        rate: float | None = None,
    ) -> Replay | None:
        """Begin, if nobody does it already."""
        lock = home.keys.replay(letters.queue) + ":lock"
        if not await home.client.set(lock, uuid.uuid4().hex, nx=True, ex=LOCK_SECS):
            return None
        replay = cls(home, await Sweep.over(letters, wanted), rate)
        await replay._tell("running", started_at=now_rfc3339(), started_by=person, total=replay.sweep.most)
        return replay

    async def run(self, limits: Limits, on_progress: Callable[[Sweep], None] = lambda _: None) -> None:
        """To the end; what cannot go on stays. Ended by an error or a cancellation, it counts as failed."""
        queue, sweep = self.sweep.letters.queue, self.sweep

        def decide(letter: Letter) -> bytes | None:
            try:
                return replayed(queue, letter, letter.payload, limits)
            except NotReplayableError:
                return None

        state = "failed"
        try:
            most = CHUNK if self._rate is None else max(1, min(CHUNK, int(self._rate)))
            before = sweep.moved
            while await sweep.replay_chunk(decide, most):
                await self._tell("running")
                await self._home.client.expire(self._lock, LOCK_SECS)
                on_progress(sweep)
                if self._rate is not None:
                    await asyncio.sleep((sweep.moved - before) / self._rate)
                before = sweep.moved
            state = "done"
        finally:
            await self._tell(state)
            await self._home.client.delete(self._lock)

    async def _tell(self, state: str, **more: str | int) -> None:
        sweep = self.sweep
        key = self._home.keys.replay(sweep.letters.queue)
        fields: dict[Any, Any] = {
            "state": state,
            "looked_at": sweep.looked_at,
            "replayed": sweep.moved,
            "failed": sweep.failed,
            "told_at": time.time(),
            **more,
        }
        async with self._home.client.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=fields)
            pipe.expire(key, KEPT_SECS)
            await pipe.execute()


async def progress(home: AsyncShard, queue: QueueName) -> dict[str, Any]:
    """How far the replay of a queue is. Raises redis.RedisError."""
    answer: Any = await home.client.hgetall(home.keys.replay(queue))
    found = {text(name): text(value) for name, value in answer.items()}
    if not found:
        return {
            "state": "idle", "total": 0, "looked_at": 0, "replayed": 0, "failed": 0,
            "started_at": None, "started_by": None,
        }  # fmt: skip
    state = found["state"]
    if state == "running" and time.time() - float(found["told_at"]) > LOCK_SECS:
        state = "failed"
    numbers = {name: int(found[name]) for name in ("total", "looked_at", "replayed", "failed")}
    return {"state": state, **numbers, "started_at": found["started_at"], "started_by": found["started_by"]}
