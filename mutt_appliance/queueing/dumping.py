"""Everything in the queues of one key space: read without taking it away, and put back where it belongs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import redis

from mutt_appliance.queueing.dump_files import PLACES, Counts, DumpError, Item, Place
from mutt_appliance.queueing.keys import KeySpace, WorkQueue
from mutt_appliance.queueing.scripts import script_source, text

CHUNK: Final = 1000
LOADED_KEEP_SECS: Final = 30 * 86400
STAGED_KEEP_SECS: Final = 3600
# Answers of load_queues.lua.
LOADED: Final = 1
LOADED_BEFORE: Final = 0
STAGED_LOST: Final = -1


class LoadedBeforeError(DumpError):
    """This dump is in the shard already."""


def key_of(keys: KeySpace, place: Place) -> str:
    """Where the items of a place lie."""
    return {
        "ingest_queue": keys.ingest_queue,
        "alert_queue": keys.alert_queue,
        "retry": keys.retry,
        "dlq_ingest": keys.ingest_dead,
        "dlq_alerter": keys.events.dead,
        "dlq_moog": keys.alerts.dead,
    }[place]


def live_workers(client: redis.Redis, keys: KeySpace) -> list[str]:
    """Names of workers whose lease runs, in alphabetical order."""
    names = []
    for queue in (keys.events, keys.alerts):
        for name in map(text, client.smembers(queue.workers)):
            if client.exists(queue.heartbeat(name)):
                names.append(name)
    return sorted(names)


def depths(client: redis.Redis, keys: KeySpace) -> Counts:
    """How many items belong to each place, with what workers hold."""
    counts: Counter[str] = Counter()
    for place in PLACES:
        key = key_of(keys, place)
        counts[place] = int(client.zcard(key)) if place == "retry" else int(client.llen(key))
    for place, queue in _stages(keys):
        counts[place] += sum(int(client.llen(key)) for key in _processing_lists(client, queue))
    return Counts(Counter({place: count for place, count in counts.items() if count}))


def items(client: redis.Redis, keys: KeySpace, shard: int) -> Iterator[Item]:
    """Every item, place by place, newest first; what workers hold comes last, for it was taken first."""
    held = dict(_stages(keys))
    for place in PLACES:
        key = key_of(keys, place)
        if place == "retry":
            yield from _of_retry_set(client, key, shard)
            continue
        yield from _of_list(client, key, place, shard)
        if place in held:
            for processing in _processing_lists(client, held[place]):
                yield from _of_list(client, processing, place, shard)


def load(client: redis.Redis, keys: KeySpace, dump_id: str, found: Iterable[Item], *, again: bool) -> Counts:
    """Put items where they belong, in one step at the end; what is there already is consumed after them.

    Raises DumpError for a dump that was loaded before, unless `again`; RedisError, and then nothing was loaded.
    """
    staged = {place: keys.staged(dump_id, place) for place in PLACES}
    client.delete(*staged.values())
    counts: Counter[str] = Counter()
    for chunk in _chunked(found):
        with client.pipeline(transaction=False) as pipe:
            for place, group in itertools.groupby(chunk, key=lambda item: item.place):
                members = list(group)
                counts[place] += len(members)
                if place == "retry":
                    pipe.zadd(staged[place], {item.raw: item.due_ms for item in members})
                else:
                    pipe.rpush(staged[place], *(item.raw for item in members))
            # What a load that was interrupted leaves behind goes by itself.
            for key in staged.values():
                pipe.expire(key, STAGED_KEEP_SECS)
            pipe.execute()
    script = client.register_script(script_source("load_queues"))
    pairs = [key for place in PLACES for key in (staged[place], key_of(keys, place))]
    expected = [counts[place] for place in PLACES]
    answer = int(script(keys=[keys.loaded(dump_id), *pairs], args=[int(again), LOADED_KEEP_SECS, *expected]))
    if answer != LOADED:
        client.delete(*staged.values())
    if answer == LOADED_BEFORE:
        raise LoadedBeforeError("it was loaded into this Redis before: --again loads it twice")
    if answer == STAGED_LOST:
        raise DumpError("Redis has not kept what was read: nothing was loaded, try again")
    return Counts(counts)


def _stages(keys: KeySpace) -> tuple[tuple[Place, WorkQueue], ...]:
    return ("ingest_queue", keys.events), ("alert_queue", keys.alerts)


def _processing_lists(client: redis.Redis, queue: WorkQueue) -> list[str]:
    found = map(text, client.scan_iter(match=f"{_literal(queue.processing_prefix)}:*", count=1000))
    return sorted(key for key in found if queue.is_processing_list(key))


def _literal(prefix: str) -> str:
    """`prefix` for a pattern of SCAN, in which [ and others mean something."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in prefix)


def _of_list(client: redis.Redis, key: str, place: Place, shard: int) -> Iterator[Item]:
    for first in itertools.count(0, CHUNK):
        raws: Any = client.lrange(key, first, first + CHUNK - 1)
        for raw in raws:
            yield Item(place, shard, raw)
        if len(raws) < CHUNK:
            return


def _of_retry_set(client: redis.Redis, key: str, shard: int) -> Iterator[Item]:
    for first in itertools.count(0, CHUNK):
        pairs: Any = client.zrange(key, first, first + CHUNK - 1, withscores=True)
        for raw, due_ms in pairs:
            yield Item("retry", shard, raw, int(due_ms))
        if len(pairs) < CHUNK:
            return


def _chunked(found: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(found)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk
