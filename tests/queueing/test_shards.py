"""Which shard a host's events go through, what is known of shards, and when one is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace, shard_tag
from mutt_appliance.queueing.shards import (
    FORGET_AFTER_SECS,
    async_shards,
    blocking_shards,
    close_all,
    forget_if_over,
    is_empty,
    known_shards,
    known_shards_async,
    note_in_use,
    shard_of,
)
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Three shards on one Redis."""
    return make_settings(redis_shards=3)


def note(settings: Settings, count: int) -> None:
    """As an ingestor with `count` shards does."""

    async def main() -> None:
        shards = async_shards(settings, Secrets(), "test")
        await note_in_use(shards.home, count)
        await close_all(shards)

    asyncio.run(main())


def test_a_host_stays_with_its_shard_in_every_process_and_version() -> None:
    # Written down, not computed: who restarts in the middle of a storm must find the same shards.
    assert [shard_of(name, 3) for name in ("router-1", "core-1", "é", "")] == [1, 2, 2, 0]


def test_many_hosts_are_spread_evenly() -> None:
    counts = Counter(shard_of(f"sw-{n}.example.net", 8) for n in range(8000))
    assert set(counts) == set(range(8))
    assert max(counts.values()) < 1.2 * min(counts.values())


def test_with_one_shard_there_is_no_choice() -> None:
    assert shard_of("router-1", 1) == 0


def test_each_shard_has_a_tag_of_its_own_and_the_only_one_none(make_settings: MakeSettings) -> None:
    plain, tagged = make_settings(), make_settings(redis_hash_tag="north")
    assert [shard_tag(plain, n) for n in range(3)] == ["", "mutt-1", "mutt-2"]
    assert [shard_tag(tagged, n) for n in range(3)] == ["north", "north-1", "north-2"]
    assert KeySpace(plain, 2).ingest_queue == "{mutt-2}mutt:ingest_queue"
    assert KeySpace(tagged, 1).events.dead == "{north-1}mutt:dlq:alerter"


def test_shards_that_are_found_later_are_added_once_and_in_order(settings: Settings) -> None:
    shards = blocking_shards(settings, Secrets(), "test")
    assert [shard.number for shard in shards.add([0, 7, 5])] == [5, 7]
    assert shards.add([5, 7]) == []
    assert [shard.number for shard in shards] == [0, 1, 2, 5, 7]
    assert shards.home.number == 0


def test_home_knows_the_shards_that_were_ever_in_use(settings: Settings) -> None:
    note(settings, 3)
    note(settings, 2)
    shards = blocking_shards(settings, Secrets(), "test")
    assert known_shards(shards.home) == [0, 1, 2]

    async def main() -> list[int]:
        opened = async_shards(settings, Secrets(), "test")
        numbers = await known_shards_async(opened.home)
        await close_all(opened)
        return numbers

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_shard_is_forgotten_when_it_is_empty_and_out_of_use_for_long(settings: Settings) -> None:
    note(settings, 3)
    shards = blocking_shards(settings, Secrets(), "test")
    home, old = shards.home, shards[2]
    assert not forget_if_over(home, old), "an ingestor had it a moment ago"
    home.client.zadd(home.keys.shards, {"2": int(time.time()) - FORGET_AFTER_SECS - 1})
    old.client.lpush(old.keys.ingest_dead, "a letter that somebody may want to see")
    assert not forget_if_over(home, old)
    old.client.delete(old.keys.ingest_dead)
    assert forget_if_over(home, old)
    assert known_shards(home) == [0, 1]


@pytest.mark.parametrize(
    "place", ["ingest_queue", "alert_queue", "retry", "ingest_dead", "events.dead", "alerts.dead", "held"]
)
def test_a_shard_that_holds_anything_is_not_empty(settings: Settings, place: str) -> None:
    shard = blocking_shards(settings, Secrets(), "test")[1]
    keys = shard.keys
    assert is_empty(shard)
    if place == "retry":
        shard.client.zadd(keys.retry, {"an alert": 1})
    elif place == "held":
        shard.client.sadd(keys.alerts.workers, "w1")
        shard.client.lpush(keys.alerts.processing("w1"), "an alert")
    else:
        owner, _, name = place.rpartition(".")
        shard.client.lpush(getattr(getattr(keys, owner) if owner else keys, name), "an item")
    assert not is_empty(shard)
