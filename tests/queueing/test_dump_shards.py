"""Queues of several shards into one dump, and back into another number of shards."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.queueing.dump_files import DumpError, Item
from mutt_appliance.queueing.dump_shards import depths_of, items_of, load_into, target, workers_of
from mutt_appliance.queueing.shards import Shards, blocking_shards, shard_of
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings

HOSTS = tuple(f"host-{number}" for number in range(30))


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(redis_shards=3)


def events_in(shards: Shards) -> dict[str, int]:  # type: ignore[type-arg]
    """In which shard the event of each host lies."""
    return {
        json.loads(raw)["hostname"]: shard.number
        for shard in shards
        for raw in shard.client.lrange(shard.keys.ingest_queue, 0, -1)
    }


def filled(settings: Settings) -> list[Item]:
    """An event of each host in its shard and a dead letter in each, read and taken away."""
    shards = blocking_shards(settings, Secrets(), "test")
    for host in HOSTS:
        shard = shards[shard_of(host, 3)]
        shard.client.lpush(shard.keys.ingest_queue, json.dumps({"hostname": host}))
    for shard in shards:
        shard.client.lpush(shard.keys.events.dead, f"not json, shard {shard.number}")
    assert depths_of(shards).by_place == {"ingest_queue": len(HOSTS), "dlq_alerter": 3}
    assert workers_of(shards) == []
    found = list(items_of(shards))
    shards.home.client.flushall()
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_host_finds_its_shard_of_now(
    settings: Settings, make_settings: MakeSettings, count: int
) -> None:
    found = filled(settings)
    shards = blocking_shards(make_settings(redis_shards=count), Secrets(), "test")
    counts = load_into(shards, count, "d1", lambda: iter(found), again=False)
    assert counts.by_place == {"ingest_queue": len(HOSTS), "dlq_alerter": 3}
    assert depths_of(shards).by_place == counts.by_place
    assert events_in(shards) == {host: shard_of(host, count) for host in HOSTS}


def test_what_was_interrupted_goes_on_and_nothing_is_there_twice(settings: Settings) -> None:
    found = filled(settings)
    shards = blocking_shards(settings, Secrets(), "test")
    reads = 0

    def read() -> Iterator[Item]:
        nonlocal reads
        reads += 1
        if reads == 2:
            raise OSError("the disk is gone")
        yield from found

    with pytest.raises(OSError, match="disk"):
        load_into(shards, 3, "d1", read, again=False)
    load_into(shards, 3, "d1", lambda: iter(found), again=False)
    assert depths_of(shards).by_place == {"ingest_queue": len(HOSTS), "dlq_alerter": 3}
    with pytest.raises(DumpError, match="--again"):
        load_into(shards, 3, "d1", lambda: iter(found), again=False)
    load_into(shards, 3, "d1", lambda: iter(found), again=True)
    assert depths_of(shards).total == 2 * (len(HOSTS) + 3)


@pytest.mark.parametrize("raw", [b"not json", b"[]", b'{"hostname": 7}', b"{}"])
def test_an_item_without_a_host_stays_in_a_shard_that_is_there(raw: bytes) -> None:
    assert target(Item("ingest_queue", 4, raw), 3) == 1
    assert target(Item("ingest_queue", 4, raw), 1) == 0
