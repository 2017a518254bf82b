"""Queues out of a real Redis and back, with all that is in them."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing import dumping
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.dump_files import Counts, DumpError, Item
from mutt_appliance.queueing.dumping import depths, items, live_workers, load
from mutt_appliance.queueing.keys import KeySpace
from tests.queueing.conftest import MakeWorker


def fill(client: redis.Redis, keys: KeySpace, worker: MakeWorker) -> None:
    """2,500 events of which a dead worker holds the oldest 100, alerts, retries, dead letters of each kind."""
    for number in range(2500):
        client.lpush(keys.ingest_queue, f"e{number:04}")
    worker("gone").claim(100)
    client.delete(keys.events.heartbeat("gone"))
    client.lpush(keys.alert_queue, *(f"a{n}" for n in range(3)))
    client.lpush(keys.alerts.processing("old-version"), "a-held")
    client.zadd(keys.retry, {b"r1\xff": 1764000000123, b"r2": 1764000000456})
    for dead in (keys.ingest_dead, keys.events.dead, keys.alerts.dead):
        client.lpush(dead, f"{dead} 1", f"{dead} 2")


def dumped(client: redis.Redis, keys: KeySpace, worker: MakeWorker) -> list[Item]:
    """Everything out of a filled Redis, which is empty then."""
    fill(client, keys, worker)
    found = list(items(client, keys, 0))
    client.flushall()
    return found


def everything(client: redis.Redis, keys: KeySpace) -> dict[str, Any]:
    """What lies where, the next to be consumed first."""
    lists = (keys.ingest_queue, keys.alert_queue, keys.ingest_dead, keys.events.dead, keys.alerts.dead)
    held = sorted(client.scan_iter("*processing*", _type="list"))
    return {
        **{key: client.lrange(key, 0, -1)[::-1] for key in lists},
        "retry": client.zrange(keys.retry, 0, -1, withscores=True),
        "held": held,
    }


def test_all_of_it_goes_where_it_belongs(client: redis.Redis, keys: KeySpace, worker: MakeWorker) -> None:
    fill(client, keys, worker)
    before = depths(client, keys)
    found = list(items(client, keys, 0))
    assert len(found) == before.total == 2500 + 3 + 1 + 2 + 6
    client.flushall()
    assert load(client, keys, "d1", found, again=False) == before
    there = everything(client, keys)
    assert there[keys.ingest_queue] == [f"e{number:04}".encode() for number in range(2500)]
    assert there[keys.alert_queue] == [b"a-held", b"a0", b"a1", b"a2"]
    assert there["retry"] == [(b"r1\xff", 1764000000123.0), (b"r2", 1764000000456.0)]
    assert [len(there[key]) for key in (keys.ingest_dead, keys.events.dead, keys.alerts.dead)] == [2, 2, 2]
    assert there["held"] == []
    assert client.ttl(keys.ingest_queue) == -1
    assert list(client.scan_iter("mutt:load:*")) == []


def test_a_dump_takes_nothing_away(client: redis.Redis, keys: KeySpace, worker: MakeWorker) -> None:
    fill(client, keys, worker)
    before = everything(client, keys)
    assert len(list(items(client, keys, 0))) == 2512
    assert everything(client, keys) == before


def test_what_came_meanwhile_is_consumed_after_it(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    found = dumped(client, keys, worker)
    client.lpush(keys.ingest_queue, "new-1", "new-2")
    client.zadd(keys.retry, {"r2": 9e12, "r3": 1})
    load(client, keys, "d1", found, again=False)
    there = everything(client, keys)
    assert there[keys.ingest_queue][-3:] == [b"e2499", b"new-1", b"new-2"]
    assert len(there[keys.ingest_queue]) == 2502
    assert there["retry"][0][0] == b"r3"
    assert (b"r2", 1764000000456.0) in there["retry"]


def test_the_same_dump_is_not_loaded_twice_by_mistake(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    found = dumped(client, keys, worker)
    load(client, keys, "d1", found, again=False)
    with pytest.raises(DumpError, match="loaded into this Redis before"):
        load(client, keys, "d1", found, again=False)
    assert client.llen(keys.ingest_queue) == 2500
    load(client, keys, "d1", found, again=True)
    assert client.llen(keys.ingest_queue) == 5000


def test_what_was_interrupted_has_loaded_nothing(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    found = dumped(client, keys, worker)

    def cut_off() -> Any:
        yield from found[:1500]
        raise RedisError("gone")

    with pytest.raises(RedisError):
        load(client, keys, "d1", cut_off(), again=False)
    assert depths(client, keys) == Counts()
    assert all(client.ttl(key) > 0 for key in client.scan_iter("mutt:load:*"))
    assert load(client, keys, "d1", found, again=False).total == 2512


def test_items_that_redis_did_not_keep_stop_the_load(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = dumped(client, keys, worker)
    monkeypatch.setattr(dumping, "STAGED_KEEP_SECS", 0)
    with pytest.raises(DumpError, match="nothing was loaded"):
        load(client, keys, "d1", found, again=False)
    assert depths(client, keys) == Counts()


def test_workers_with_a_lease_are_named(client: redis.Redis, keys: KeySpace, worker: MakeWorker) -> None:
    worker("w2")
    worker("w1")
    worker("gone")
    client.delete(keys.events.heartbeat("gone"))
    assert live_workers(client, keys) == ["w1", "w2"]


def test_a_prefix_is_meant_literally(client: redis.Redis, settings: Settings) -> None:
    keys = KeySpace(settings.model_copy(update={"alerter_processing_list_prefix": "mutt:[x]*"}))
    client.lpush(keys.events.processing("w"), "mine")
    client.lpush("mutt:xy:w", "a stranger's")
    assert [item.raw for item in items(client, keys, 0)] == [b"mine"]


def test_under_a_hash_tag_too(client: redis.Redis, settings: Settings, worker: MakeWorker) -> None:
    keys = KeySpace(settings.model_copy(update={"redis_hash_tag": "blue"}))
    client.lpush(keys.ingest_queue, "e1")
    found = list(items(client, keys, 0))
    client.flushall()
    load(client, keys, "d1", found, again=False)
    assert sorted(client.scan_iter("*")) == [keys.ingest_queue.encode(), keys.loaded("d1").encode()]
