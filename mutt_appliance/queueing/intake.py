"""The ingestor's side of the ingest queue: many requests, one script call (group commit)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import redis.asyncio

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import script_source

# One argument has the digests of all events; this stands for none. enqueue.lua has the same length.
DIGEST_BYTES = 16
NO_DIGEST = bytes(DIGEST_BYTES)


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
    """Puts events into the ingest queue of a shard; after a redis.RedisError of `put` the outcome is unknown."""

    def __init__(self, client: redis.asyncio.Redis, keys: KeySpace, settings: Settings) -> None:
        self._keys = keys
        self._cap = part_of(settings.max_ingest_queue_size, settings)
        self._window_secs = settings.ingest_dedup_window_seconds
        self._dead_max = part_of(settings.ingest_dlq_max_size, settings)
        self._enqueue = client.register_script(script_source("enqueue"))

    async def put(self, intakes: list[Intake]) -> IntakeResult:
        """Queue all events of all intakes and keep their dead letters, in one round trip."""
        window = int(time.time()) // self._window_secs if self._window_secs else 0
        digests = [digest for intake in intakes for digest, _ in intake.events]
        args: list[bytes | int] = [
            self._cap,
            2 * self._window_secs,
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
        accepted, depth, dead_depth, *duplicates = await self._enqueue(
            keys=[keys.ingest_queue, keys.dedup(window), keys.dedup(window - 1), keys.ingest_dead], args=args
        )
        return IntakeResult(
            bool(accepted), int(depth), int(dead_depth), frozenset(int(i) for i in duplicates)
        )
