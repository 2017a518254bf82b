"""A dump of the queues of all shards, and a way back into an appliance that may have another number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from mutt_appliance.queueing.dump_files import Counts, Item
from mutt_appliance.queueing.dumping import LoadedBeforeError, depths, items, live_workers, load
from mutt_appliance.queueing.shards import BlockingShard, shard_of

# What still goes through a pipeline, where the events of a host must meet in one shard.
ON_THE_WAY = ("ingest_queue", "alert_queue", "retry")


def workers_of(shards: Iterable[BlockingShard]) -> list[str]:
    """Names of workers whose lease runs in any shard, in alphabetical order."""
    return sorted({name for shard in shards for name in live_workers(shard.client, shard.keys)})


def depths_of(shards: Iterable[BlockingShard]) -> Counts:
    """How many items belong to each place, over all shards."""
    found: Counter[str] = Counter()
    for shard in shards:
        found.update(depths(shard.client, shard.keys).by_place)
    return Counts(found)


def items_of(shards: Iterable[BlockingShard]) -> Iterator[Item]:
    """Every item, shard by shard."""
    for shard in shards:
        yield from items(shard.client, shard.keys, shard.number)


def target(item: Item, count: int) -> int:
    """Number of the shard of `count` that an item goes to: that of its host where it is still on its way."""
    if count > 1 and item.place in ON_THE_WAY:
        hostname = _hostname(item.raw)
        if hostname is not None:
            return shard_of(hostname, count)
    return item.shard % count


def load_into(
    shards: Iterable[BlockingShard],
    count: int,
    dump_id: str,
    read: Callable[[], Iterator[Item]],
    *,
    again: bool,
) -> Counts:
    """Put every item of a dump where it belongs; `read` reads it from the start, once for each of the `count` shards.

    In each shard it is all or nothing. After an error the same call loads what is missing, and no shard twice.
    Raises DumpError when all of them had it before, unless `again`; RedisError.
    """
    counts: Counter[str] = Counter()
    before: list[LoadedBeforeError] = []
    for shard in shards:
        mine = (item for item in read() if target(item, count) == shard.number)
        try:
            counts.update(load(shard.client, shard.keys, dump_id, mine, again=again).by_place)
        except LoadedBeforeError as error:
            before.append(error)
    if len(before) == count:
        raise before[0]
    return Counts(Counter({place: number for place, number in counts.items() if number}))


def _hostname(raw: bytes) -> str | None:
    try:
        document: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    name = document.get("hostname") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None
