"""An alerter with several shards: none is forgotten, none waits for another, and limits are for all together."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

import pytest
import redis

from mutt_appliance.alerter.shard_view import BACKOFF_FIRST_SECS, ShardView
from mutt_appliance.config import Settings
from mutt_appliance.queueing import shards
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.shards import FORGET_AFTER_SECS, blocking_shards, known_shards
from mutt_appliance.secrets import Secrets
from tests.alerter.conftest import Alerter, StartAlerter
from tests.conftest import MakeSettings
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

EIGHT = 8


def queue(client: redis.Redis, settings: Settings, shard: int, event_id: str, message: str = "down") -> None:
    event = {
        "event_id": event_id, "correlation_id": "c", "hostname": "r1", "message": message,
        "received_at": "2026-11-24T02:00:00.000001Z", "timestamp": "Nov 24 02:00:00",
    }  # fmt: skip
    client.lpush(KeySpace(settings, shard).ingest_queue, json.dumps(event))


def alerts(alerter: Alerter, shard: int) -> int:
    return int(alerter.client.llen(KeySpace(alerter.settings, shard).alert_queue))


def test_one_worker_serves_every_shard_and_the_alerts_stay_in_it(start: StartAlerter) -> None:
    alerter = start(("contains", "down"), redis_shards=EIGHT, alerter_batches_at_once=1)
    for shard in range(EIGHT):
        for number in range(3):
            queue(alerter.client, alerter.settings, shard, f"e{shard}{number}")
    wait_until(lambda: len(alerter.audited()) == 3 * EIGHT, message="all are audited")
    wait_until(lambda: [alerts(alerter, n) for n in range(EIGHT)] == [3] * EIGHT, message="all are alerted")
    assert alerter.metric("mutt_alerter_queue_depth") == 3 * EIGHT


def test_an_event_does_not_wait_on_an_idle_appliance(start: StartAlerter) -> None:
    alerter = start(("contains", "down"), redis_shards=EIGHT, alerter_batches_at_once=1)
    taken = []
    for number in range(24):
        shard = number % EIGHT
        before = alerts(alerter, shard)
        begun = time.monotonic()
        queue(alerter.client, alerter.settings, shard, f"e{number}")
        wait_until(lambda shard=shard, before=before: alerts(alerter, shard) > before, interval_secs=0.001)  # type: ignore[misc]
        taken.append(time.monotonic() - begun)
    # From the queue to the settled batch, its audit row included.
    print(f"\nmedian {statistics.median(taken) * 1000:.1f} ms, longest {max(taken) * 1000:.1f} ms")
    assert statistics.median(taken) < 0.1


def test_a_stop_leaves_no_list_and_no_lease_in_any_shard(start: StartAlerter) -> None:
    alerter = start(("contains", "x"), redis_shards=3)
    leases = 3 * alerter.settings.alerter_batches_at_once
    wait_until(
        lambda: len(alerter.client.keys("*mutt:heartbeat:*")) == leases, message="every worker is everywhere"
    )
    client = blocking_client(alerter.settings, Secrets(), "test")
    alerter.stop()
    assert client.keys("*mutt:heartbeat:*") == client.keys("*mutt:processing:*") == []
    client.close()


def test_a_shard_beyond_the_configuration_is_served_until_it_is_empty_and_forgotten(
    start: StartAlerter, make_settings: MakeSettings
) -> None:
    before = make_settings(redis_shards=4)
    home = blocking_shards(before, Secrets(), "test").home
    home.client.zadd(home.keys.shards, {str(n): int(time.time()) for n in range(4)})
    for number in range(10):
        queue(home.client, before, 3, f"e{number}")
    alerter = start(("contains", "down"), redis_shards=2)
    wait_until(lambda: len(alerter.audited()) == 10, message="what it held is audited")
    assert alerts(alerter, 3) == 10, "the forwarders serve it, too"
    assert known_shards(home) == [0, 1, 2, 3]
    home.client.delete(KeySpace(before, 3).alert_queue)
    home.client.zadd(home.keys.shards, {"3": int(time.time()) - FORGET_AFTER_SECS - 1})
    wait_until(lambda: known_shards(home) == [0, 1, 2], 15, "it is forgotten")


def test_the_threshold_for_shedding_counts_the_alerts_of_all_shards(start: StartAlerter) -> None:
    alerter = start(
        ("contains", "down"), redis_shards=3, alerter_queue_warn_threshold=2, alerter_queue_shed_threshold=6
    )
    for shard in (0, 1):
        alerter.client.lpush(KeySpace(alerter.settings, shard).alert_queue, "1", "2", "3")
    wait_until(lambda: alerter.metric("mutt_alerter_queue_depth") == 6, 15, "it knows of all of them")
    queue(alerter.client, alerter.settings, 2, "e1")
    dead = KeySpace(alerter.settings, 2).events.dead
    wait_until(lambda: alerter.client.llen(dead) == 1, message="it is shed")
    letter = json.loads(alerter.client.lindex(dead, 0))  # type: ignore[arg-type]
    assert "ALERTER_QUEUE_SHED_THRESHOLD=6" in letter["reason"]
    # Once they are forwarded, alerts pass again.
    for shard in (0, 1):
        alerter.client.delete(KeySpace(alerter.settings, shard).alert_queue)
    wait_until(lambda: alerter.metric("mutt_alerter_queue_depth") == 0, 15, "it knows of that")
    queue(alerter.client, alerter.settings, 2, "e2")
    wait_until(lambda: alerts(alerter, 2) == 1, message="the alert is queued")


@pytest.fixture
def other_redis(monkeypatch: pytest.MonkeyPatch, make_settings: MakeSettings) -> Iterator[RedisServer]:
    """A Redis of its own for shard 1, as in a Cluster."""
    server = RedisServer()
    server.start()
    there = make_settings(redis_host=server.address, redis_timeout=1, brpoplpush_timeout=1)

    def client(
        settings: Settings, secrets: Secrets, name: str, shard: int = 0, *, waits: bool = False
    ) -> redis.Redis:
        return blocking_client(there if shard == 1 else settings, secrets, name, shard, waits=waits)

    monkeypatch.setattr(shards, "blocking_client", client)
    yield server
    server.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_shard_whose_redis_does_not_answer_keeps_no_other_waiting(
    start: StartAlerter, other_redis: RedisServer, how: str
) -> None:
    alerter = start(("contains", "down"), redis_shards=3, redis_timeout=1, brpoplpush_timeout=1)
    with other_redis.client() as there:
        queue(there, alerter.settings, 1, "first")
    wait_until(lambda: alerter.audited() == ["first"], message="it serves it")
    (other_redis.kill if how == "killed" else other_redis.pause)()

    def well(component: str) -> bool:
        path = alerter.settings.mutt_runtime_dir / "health" / "alerter-0.json"
        return bool(json.loads(path.read_text())["components"].get(component, {"ok": True})["ok"])

    wait_until(lambda: not well("redis-1"), 20, "health tells")
    assert well("redis")
    taken = []
    for number in range(20):
        begun = time.monotonic()
        queue(alerter.client, alerter.settings, 2 * (number % 2), f"e{number:02}")
        wait_until(lambda number=number: f"e{number:02}" in alerter.audited(), interval_secs=0.01)  # type: ignore[misc]
        taken.append(time.monotonic() - begun)
    print(f"\n{how}: median {statistics.median(taken) * 1000:.0f} ms, longest {max(taken) * 1000:.0f} ms")
    assert max(taken) < 1.0
    other_redis.start() if how == "killed" else other_redis.resume()
    with other_redis.client() as there:
        queue(there, alerter.settings, 1, "last")
    wait_until(lambda: "last" in alerter.audited(), 15, "it is served again")
    wait_until(lambda: well("redis-1"), message="it is well again")


def test_only_one_worker_tries_a_shard_in_trouble(settings: Settings) -> None:
    view = ShardView(blocking_shards(settings, Secrets(), "test").home, look_secs=5)
    assert view.admits()
    view.failed()
    assert not view.admits()
    assert 0 < view.due_in() <= BACKOFF_FIRST_SECS
    wait_until(view.admits, 2, "its pause is over", interval_secs=0.01)
    with view.asking():
        assert not view.admits(), "somebody tries already"
    assert view.well()
    assert view.due_in() == 0


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings on real, empty stores."""
    return make_settings()
