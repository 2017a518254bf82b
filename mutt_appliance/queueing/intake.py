"""The ingestor's side of the ingest queue: many requests, one script call (group commit).

With REDIS_WAIT_REPLICAS the call is followed by WAIT on the same connection, in the same round trip.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import NoScriptError, ResponseError
from mutt_appliance.queueing.errors import ReplicasMissingError, has_code
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.replicas import ReplicaWatch
from mutt_appliance.queueing.scripts import script_source

# One argument has the digests of all events; this stands for none. enqueue.lua has the same length.
DIGEST_BYTES = 16
NO_DIGEST = bytes(DIGEST_BYTES)
DEAD_LEEWAY = 2
# Ids are kept for a window after their own has ended, and so much longer for ingestors whose clocks differ. A whole
# window more would be a third of all ids in Redis.
CLOCK_LEEWAY_SECS = 60


@dataclass(frozen=True)
class Intake:
    """Events to queue, each with the digest of the id its sender gave (DIGEST_BYTES, or b""), and dead letters."""

    events: list[tuple[bytes, bytes]]
    dead: list[bytes]


@dataclass(frozen=True)
class IntakeResult:
    """What Redis did with one or more intakes together: all of them accepted, or none."""

    accepted: bool
    queue_depth: int
    dead_depth: int
    duplicates: frozenset[int]


def part_of(total: int, settings: Settings) -> int:
    """What each shard has of a limit for all of them together."""
    return -(-total // settings.redis_shards)


class IngestQueue:
    """Puts events into the ingest queue of a shard; after a redis.RedisError of `put` the outcome is unknown.

    ReplicasMissingError is raised when Redis has them, but not safely enough.
    """

    def __init__(self, client: redis.asyncio.Redis, keys: KeySpace, settings: Settings) -> None:
        self._keys = keys
        self._cap = part_of(settings.max_ingest_queue_size, settings)
        self._window_secs = settings.ingest_dedup_window_seconds
        # Those above the setting go to files. Only a flood that nobody takes away in time loses its oldest.
        self._dead_max = DEAD_LEEWAY * part_of(settings.ingest_dlq_max_size, settings)
        self._client = client
        self._enqueue = client.register_script(script_source("enqueue"))
        self._wait_replicas = settings.redis_wait_replicas
        self._wait_ms = settings.redis_wait_timeout_ms
        self._replicas = ReplicaWatch(settings.redis_wait_replicas)

    async def put(self, intakes: list[Intake]) -> IntakeResult:
        """Queue all events of all intakes and keep their dead letters, in one round trip."""
        window = int(time.time()) // self._window_secs if self._window_secs else 0
        digests = [digest for intake in intakes for digest, _ in intake.events]
        args: list[bytes | int] = [
            self._cap,
            self._window_secs + min(self._window_secs, CLOCK_LEEWAY_SECS),
            len(digests),
            sum(len(intake.dead) for intake in intakes),
            self._dead_max,
            b"".join(digest or NO_DIGEST for digest in digests) if any(digests) else b"",
        ]
        for intake in intakes:
            args += [event for _, event in intake.events]
        for intake in intakes:
            args += intake.dead
        keys = self._keys
        accepted, depth, dead_depth, *duplicates = await self._call(
            [keys.ingest_queue, keys.dedup(window), keys.dedup(window - 1), keys.ingest_dead], args
        )
        return IntakeResult(
            bool(accepted), int(depth), int(dead_depth), frozenset(int(i) for i in duplicates)
        )

    async def _call(self, keys: Sequence[str], args: Sequence[bytes | int]) -> Any:
        """The script's answer, once enough replicas have what it wrote."""
        try:
            if not self._wait_replicas:
                return await self._enqueue(keys=keys, args=args)
            await self._refuse_in_doubt()
            answer = await self._call_and_wait(keys, args)
            if isinstance(answer, NoScriptError):
                await self._client.script_load(self._enqueue.script)
                answer = await self._call_and_wait(keys, args)
            if isinstance(answer, Exception):
                raise answer
        except ResponseError as error:
            if has_code(error, "NOREPLICAS"):
                raise ReplicasMissingError(
                    "fewer replicas follow than Redis' min-replicas-to-write"
                ) from error
            raise
        return answer

    async def _refuse_in_doubt(self) -> None:
        """Write nothing that could not be answered for, until there is a new master or the doubt is over."""
        if self._replicas.doubt(time.monotonic()):
            self._replicas.look(await self._client.info("replication"), time.monotonic())
            if fault := self._replicas.doubt(time.monotonic()):
                raise ReplicasMissingError(fault)

    async def _call_and_wait(self, keys: Sequence[str], args: Sequence[bytes | int]) -> Any:
        """The script's answer or error; what it wrote waits for the replicas, and so does what it found written."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.execute_command("EVALSHA", self._enqueue.sha, len(keys), *keys, *args)
            pipe.execute_command("WAIT", self._wait_replicas, self._wait_ms)
            pipe.execute_command("INFO", "replication")
            answer, acknowledged, replication = await pipe.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            return answer
        for each in (acknowledged, replication):
            if isinstance(each, Exception):
                raise each
        if fault := self._replicas.fault(int(acknowledged), replication, time.monotonic()):
            raise ReplicasMissingError(fault)
        return answer
