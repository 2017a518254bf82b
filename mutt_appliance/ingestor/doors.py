"""The ways into the shards: each event goes to the shard of its host, and a request is answered by all of them.

A request is accepted when every shard that it has events for has them. What one shard took before another
one failed comes again with the sender's next try; with ids it is then a duplicate, without ids it is queued
twice. So that this is the rare moment and not each try of an outage, nothing is begun for a request of
several shards while one of them is known to be away or full.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from redis.exceptions import OutOfMemoryError

from mutt_appliance.config import Settings
from mutt_appliance.events.admission import Admission
from mutt_appliance.ingestor.group_commit import GroupCommit
from mutt_appliance.queueing.client import RedisConnectionError, RedisError
from mutt_appliance.queueing.errors import ReplicasMissingError
from mutt_appliance.queueing.fullness import is_full, share_used
from mutt_appliance.queueing.intake import IngestQueue, Intake, IntakeResult, part_of
from mutt_appliance.queueing.shards import AsyncShard, shard_of

# After it lacked replicas a shard is not tried for so long with requests that concern others, too.
UNSAFE_SECS = 1.0
FULL = "is full"


@dataclass
class Part:
    """What one shard gets of a request; `places` are the positions of its events among all of them."""

    intake: Intake = field(default_factory=lambda: Intake([], []))
    places: list[int] = field(default_factory=list)


def spread(admission: Admission, shards: int) -> dict[int, Part]:
    """The parts of a request by the number of their shard.

    Its dead letters go with its first event, or home when there is none.
    """
    parts: dict[int, Part] = {}
    numbers: dict[str, int] = {}
    for place, (event, hostname) in enumerate(zip(admission.events, admission.hostnames, strict=True)):
        number = numbers.get(hostname)
        if number is None:
            number = numbers[hostname] = shard_of(hostname, shards)
        part = parts.get(number)
        if part is None:
            part = parts[number] = Part()
        part.intake.events.append(event)
        part.places.append(place)
    if admission.dead:
        first = next(iter(parts), 0)
        parts.setdefault(first, Part()).intake.dead.extend(admission.dead)
    return parts


class Door:
    """The way into one shard, and what is known of it: whether it answers, and how full its queues are."""

    def __init__(self, shard: AsyncShard, settings: Settings) -> None:
        self.shard = shard
        self.cap = part_of(settings.max_ingest_queue_size, settings)
        self._commit = GroupCommit(IngestQueue(shard.client, shard.keys, settings))
        self.depth = 0
        self.dead_depth = 0
        self._away = False
        self._full = False
        self._unsafe_until = 0.0

    @property
    def fault(self) -> str:
        """Why nothing should be begun that needs this shard and another one, empty if nothing is known."""
        if self._full:
            return FULL
        if self._away:
            return "does not answer"
        return "has too few replicas" if time.monotonic() < self._unsafe_until else ""

    async def submit(self, intake: Intake) -> IntakeResult:
        """Queue an intake; returns when Redis has it. Raises RedisError, OSError or OverloadedError."""
        try:
            result = await self._commit.submit(intake)
        except ReplicasMissingError:
            self._unsafe_until = time.monotonic() + UNSAFE_SECS
            raise
        except (RedisError, OSError) as error:
            self._full = is_full(error)
            self._away = not self._full
            raise
        self._full = False
        self._note(result.queue_depth, result.dead_depth)
        return result

    async def look(self) -> None:
        """See how deep the queues are. Raises RedisError, OSError or TimeoutError, and then it counts as away.

        It raises OutOfMemoryError from when Redis refused something for that until there is room again.
        """
        try:
            # Without its disk Redis tells depths, and refuses this as it does any change.
            await self.shard.client.ping()
            async with self.shard.client.pipeline(transaction=False) as pipe:
                pipe.llen(self.shard.keys.ingest_queue)
                pipe.llen(self.shard.keys.ingest_dead)
                depth, dead_depth = await pipe.execute()
        except BaseException:
            self._away = True
            raise
        self._note(int(depth), int(dead_depth))
        if self._full:
            used = share_used(await self.shard.client.info("memory"))
            self._full = used is not None and used >= 1
            if self._full:
                raise OutOfMemoryError("maxmemory is reached")

    def _note(self, depth: int, dead_depth: int) -> None:
        self._away = False
        self.depth, self.dead_depth = depth, dead_depth


class Doors:
    """All of them, in the order of the shards."""

    def __init__(self, shards: Iterable[AsyncShard], settings: Settings) -> None:
        self.all = tuple(Door(shard, settings) for shard in shards)

    async def submit(self, admission: Admission) -> IntakeResult:
        """Queue a request; returns when every shard has its part. Raises RedisError, OSError, OverloadedError.

        The depths of the result are those of all shards together.
        """
        if len(self.all) == 1:
            return await self.all[0].submit(Intake(admission.events, admission.dead))
        parts = spread(admission, len(self.all))
        if len(parts) > 1:
            refusal = self._refusal(parts)
            if refusal is not None:
                return refusal
        answers = await asyncio.gather(
            *(self.all[number].submit(part.intake) for number, part in parts.items()), return_exceptions=True
        )
        duplicates: set[int] = set()
        accepted = True
        for part, answer in zip(parts.values(), answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            accepted = accepted and answer.accepted
            duplicates.update(part.places[i] for i in answer.duplicates)
        return self._result(accepted, frozenset(duplicates))

    def _refusal(self, parts: dict[int, Part]) -> IntakeResult | None:
        """What is known before anything is begun: a shard is away (raises) or has no room."""
        for number in parts:
            fault = self.all[number].fault
            if fault == FULL:
                raise OutOfMemoryError(f"shard {number} {fault}")
            if fault:
                raise RedisConnectionError(f"shard {number} {fault}")
        for number, part in parts.items():
            door = self.all[number]
            if door.depth + len(part.intake.events) > door.cap:
                return self._result(False, frozenset())
        return None

    def _result(self, accepted: bool, duplicates: frozenset[int]) -> IntakeResult:
        return IntakeResult(accepted, self.depth, self.dead_depth, duplicates)

    @property
    def depth(self) -> int:
        """Events in all ingest queues, as last seen."""
        return sum(door.depth for door in self.all)

    @property
    def dead_depth(self) -> int:
        """Refused events in all dead letter queues, as last seen."""
        return sum(door.dead_depth for door in self.all)

    @property
    def fullest(self) -> Door:
        """The one with the least room."""
        return max(self.all, key=lambda door: door.depth)
