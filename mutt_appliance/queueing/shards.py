"""The shards of an appliance: whole pipelines side by side, in a Redis Cluster at different masters.

All events of a host go through one shard, from the ingest queue to the webhook: their order, the
de-duplication of their ids and the count of what no rule matches need no other. The price is that one
very busy host cannot use more than one shard. Shard 0 is home to what the appliance has once (see `keys`).

REDIS_SHARDS may be raised at a restart. When it is lowered, the shards beyond it get no new events, but
whatever is known at home (mutt:shards) is served and shown until it is empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from zlib import crc32

import redis
import redis.asyncio

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import SecretsSource, async_client, blocking_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import text

C = TypeVar("C")
# A shard that no ingestor had in its configuration for so long, and that is empty, is forgotten.
FORGET_AFTER_SECS: Final = 3600
LOOK_SECS: Final = 5.0
"""How often a process looks for shards that it does not know of yet."""


@dataclass(frozen=True)
class Shard(Generic[C]):
    """One shard: its number, a client of the Redis it lies in, its keys."""

    number: int
    client: C
    keys: KeySpace

    def component(self, name: str) -> str:
        """Name of something that each shard has, on the health board: `redis`, `redis-1`, …"""
        return name if self.number == 0 else f"{name}-{self.number}"


BlockingShard = Shard[redis.Redis]
AsyncShard = Shard[redis.asyncio.Redis]


class Shards(Generic[C]):
    """The shards that a process works with, in the order of their numbers, home first."""

    def __init__(self, count: int, make: Callable[[int], Shard[C]]) -> None:
        self._make = make
        self._all = tuple(make(number) for number in range(count))

    def __iter__(self) -> Iterator[Shard[C]]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, place: int) -> Shard[C]:
        return self._all[place]

    @property
    def home(self) -> Shard[C]:
        """Where that lies which the appliance has once."""
        return self._all[0]

    def add(self, numbers: Iterable[int]) -> list[Shard[C]]:
        """Work with these shards, too; returns those that are new."""
        have = {shard.number for shard in self._all}
        new = [self._make(number) for number in sorted(set(numbers) - have)]
        if new:
            self._all = tuple(sorted((*self._all, *new), key=lambda shard: shard.number))
        return new


def blocking_shards(
    settings: Settings, secrets: SecretsSource, name: str, *, waits: bool = False
) -> Shards[redis.Redis]:
    """The shards of the configuration for a process without an event loop; `name` and `waits` as for their clients."""

    def make(number: int) -> BlockingShard:
        client = blocking_client(settings, secrets, name, number, waits=waits)
        return Shard(number, client, KeySpace(settings, number))

    return Shards(settings.redis_shards, make)


def async_shards(
    settings: Settings, secrets: SecretsSource, name: str, *, waits: bool = False
) -> Shards[redis.asyncio.Redis]:
    """The shards of the configuration for a process with an event loop."""

    def make(number: int) -> AsyncShard:
        client = async_client(settings, secrets, name, number, waits=waits)
        return Shard(number, client, KeySpace(settings, number))

    return Shards(settings.redis_shards, make)


async def close_all(shards: Iterable[AsyncShard]) -> None:
    """Close the connections."""
    for shard in shards:
        await shard.client.aclose()


def shard_of(hostname: str, shards: int) -> int:
    """Number of the shard that the events of a host go through, the same in every process."""
    return crc32(hostname.encode("utf-8", "replace")) % shards if shards > 1 else 0


async def note_in_use(home: AsyncShard, count: int) -> None:
    """Have home know that the first `count` shards are written to. May raise redis.RedisError."""
    now = int(time.time())
    await home.client.zadd(home.keys.shards, {str(number): now for number in range(count)})


def known_shards(home: BlockingShard) -> list[int]:
    """Numbers of the shards that home knows of. May raise redis.RedisError."""
    return _numbers(home.client.zrange(home.keys.shards, 0, -1))


async def known_shards_async(home: AsyncShard) -> list[int]:
    """The same from an event loop."""
    return _numbers(await home.client.zrange(home.keys.shards, 0, -1))


def _numbers(members: Any) -> list[int]:
    return sorted(int(text(member)) for member in members)


def forget_if_over(home: BlockingShard, shard: BlockingShard) -> bool:
    """Forget a shard that is empty and was in no configuration for long; True if so. May raise redis.RedisError."""
    used_at: Any = home.client.zscore(home.keys.shards, str(shard.number))
    if used_at is None or time.time() - float(used_at) < FORGET_AFTER_SECS or not is_empty(shard):
        return False
    return bool(home.client.zrem(home.keys.shards, str(shard.number)))


def is_empty(shard: BlockingShard) -> bool:
    """True if no event, alert or dead letter lies in a shard. May raise redis.RedisError."""
    keys = shard.keys
    lists = [keys.ingest_queue, keys.alert_queue, keys.ingest_dead, keys.events.dead, keys.alerts.dead]
    for queue in (keys.events, keys.alerts):
        names: Any = shard.client.smembers(queue.workers)
        lists += [queue.processing(text(name)) for name in names]
    with shard.client.pipeline(transaction=False) as pipe:
        pipe.zcard(keys.retry)
        for name in lists:
            pipe.llen(name)
        return not any(pipe.execute())
