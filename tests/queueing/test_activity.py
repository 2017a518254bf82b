"""Counts of rules, hosts and patterns, made by the settlement on a real Redis."""

from __future__ import annotations

import time
from typing import Any

import redis

from mutt_appliance.queueing.activity import (
    DAYS,
    HOSTS_MOST,
    HOURS,
    PATTERNS_MOST,
    SAMPLE_MAX_BYTES,
    Activity,
    activity_keys,
)
from mutt_appliance.queueing.events import Settlement, UnhandledCount, UnhandledPolicy
from mutt_appliance.queueing.keys import KeySpace
from tests.queueing.conftest import MakeWorker

POLICY = UnhandledPolicy(threshold=1_000_000, expiry_secs=60)


def settle(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker, items: list[bytes], **of_settlement: Any
) -> tuple[list[str], list[str]]:
    """Settle a batch of `items`; returns the keys of just before and after, in case an hour ends meanwhile."""
    client.lpush(keys.ingest_queue, *items)
    queue = worker()
    assert len(queue.claim(len(items)).items) == len(items)
    before = activity_keys(keys, time.time())
    queue.settle(Settlement(len(items), **of_settlement), POLICY)
    return before, activity_keys(keys, time.time())


def found(client: redis.Redis, names: tuple[list[str], list[str]], place: int) -> str:
    """The key at `place` of which there is one."""
    (name,) = {each[place] for each in names if client.exists(each[place])}
    return name


def test_rules_and_hosts_are_counted_with_the_batch(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    activity = Activity({7: 2, 9: 1}, {"r1": 2, "r 2": 1})
    for turn in (1, 2):
        names = settle(client, keys, worker, [b"{}"] * 3, activity=activity)
        for place, window in ((0, HOURS), (1, DAYS)):
            hits = found(client, names, place)
            assert client.hgetall(hits) == {b"7": b"%d" % (2 * turn), b"9": b"%d" % turn}
            assert 0 < int(client.ttl(hits)) <= window.keep_secs
        hosts = found(client, names, 2)
        assert client.zrange(hosts, 0, -1, withscores=True) == [(b"r 2", turn), (b"r1", 2 * turn)]
        assert 0 < int(client.ttl(hosts)) <= HOURS.keep_secs


def test_patterns_are_counted_over_hosts_with_one_sample(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    counts = [
        UnhandledCount("r1", "aa", 3, 0),
        UnhandledCount("r2", "aa", 2, 1),
        UnhandledCount("r1", "bb", 1, 2),
    ]
    names = settle(client, keys, worker, [b'{"n":1}', b'{"n":2}', b'{"n":3}'], unhandled=counts)
    assert client.zrange(found(client, names, 3), 0, -1, withscores=True) == [(b"bb", 1), (b"aa", 5)]
    samples = found(client, names, 4)
    assert client.hgetall(samples) == {b"aa": b'{"n":1}', b"bb": b'{"n":3}'}
    assert 0 < int(client.ttl(samples)) <= HOURS.keep_secs


def test_a_long_event_is_no_sample(client: redis.Redis, keys: KeySpace, worker: MakeWorker) -> None:
    long = b'{"m":"' + b"x" * SAMPLE_MAX_BYTES + b'"}'
    names = settle(client, keys, worker, [long], unhandled=[UnhandledCount("r1", "aa", 1, 0)])
    assert client.zscore(found(client, names, 3), "aa") == 1
    assert not any(client.exists(each[4]) for each in names)


def test_of_too_many_hosts_and_patterns_those_with_the_fewest_events_go(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    hosts = {f"h{n}": n for n in range(1, HOSTS_MOST + HOSTS_MOST // 5)}
    patterns = [UnhandledCount("r", f"{n:06}", n, 0) for n in range(1, PATTERNS_MOST + PATTERNS_MOST // 5)]
    names = settle(client, keys, worker, [b"{}"], activity=Activity({}, hosts), unhandled=patterns)
    kept = found(client, names, 2)
    assert client.zcard(kept) == HOSTS_MOST
    assert client.zscore(kept, "h1") is None
    assert client.zscore(kept, f"h{len(hosts)}") == len(hosts)
    assert client.zcard(found(client, names, 3)) == PATTERNS_MOST
    assert client.hlen(found(client, names, 4)) == PATTERNS_MOST
    assert not client.hexists(found(client, names, 4), "000001")
