"""/metrics, /activity, /unhandled and /rules/hits, on real stores."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.activity import activity_keys
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.telemetry.health import HealthBoard
from mutt_appliance.telemetry.rates import counter_keys
from tests.conftest import MakeSettings
from tests.support.waiting import wait_until
from tests.webui.conftest import Api

RULE = {"match_string": "LINK", "prod_handling": "Ticket_only", "dev_handling": "Log_only"}


@pytest.fixture
def settings(make_settings: MakeSettings, settings: Settings) -> Settings:
    """Nothing is cached: each call sees what the test has just done."""
    return make_settings(metrics_cache_ttl=0)


@pytest.fixture
def keys(settings: Settings) -> KeySpace:
    return KeySpace(settings)


def event(**fields: Any) -> str:
    return json.dumps({"event_id": "e", "hostname": "r1", "message": "fan tray 7 removed", **fields})


def test_metrics_have_the_shape_of_the_specification(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    for name, _ in counter_keys(keys.metrics_prefix, time.time()):
        client.set(name, 6000)
    found = api("GET", "/metrics").json()
    assert set(found) == {"summary", "chart_24h"}
    assert set(found["summary"]) == {"current_rate_1m", "avg_rate_15m", "avg_rate_1h"}
    assert 50 <= found["summary"]["current_rate_1m"] <= 100
    assert len(found["chart_24h"]["labels"]) == len(found["chart_24h"]["data"]) == 24
    assert found["chart_24h"]["labels"][-1] == time.strftime("%H:00", time.gmtime())
    assert found["chart_24h"]["data"][-1] > 0


def test_the_activity_shows_what_waits_and_who_is_busy(
    api: Api, client: redis.Redis, keys: KeySpace, settings: Settings
) -> None:
    rule = api("POST", "/rules", RULE).json()["id"]
    hour, day, hosts, *_ = activity_keys(keys, time.time())
    client.hset(hour, str(rule), 5)
    client.hset(day, mapping={str(rule): 7, "99": 1})
    client.zadd(hosts, {"r1": 3, "<b>": 9})
    client.lpush(keys.ingest_queue, "1", "2")
    client.lpush(keys.alerts.dead, "1")
    client.zadd(keys.retry, {"x": 1})
    now_us = time.time() * 1_000_000
    under_way = {"c": now_us + 9_000_000}
    client.zadd(keys.rate_limit, {"a": now_us, "b": now_us - 100, "old": now_us - 60_000_000, **under_way})
    board = HealthBoard(settings.mutt_runtime_dir, "alerter", 0)
    board.set("database", False, "gone")
    board.publish()
    found = api("GET", "/activity").json()
    assert found["queues"] == {"ingest": 2, "alert": 0, "retry": 1}
    assert found["dead_letters"] == {"ingest": 0, "alerter": 0, "moog": 1}
    assert found["limiter"] == {"limit": 50, "period_seconds": 1.0, "used": 3}
    assert found["forwarded_per_second"] == 2
    assert found["top_rules"] == [{"rule_id": rule, "match": "LINK", "hits_24h": 5}]
    assert found["top_hosts"] == [{"hostname": "<b>", "events_24h": 9}, {"hostname": "r1", "events_24h": 3}]
    assert {"name": "alerter:0", "status": "degraded", "trouble": "database: gone"} in found["processes"]
    assert {"name": "forwarder", "status": "down", "trouble": "there is no process"} in found["processes"]
    hits = api("GET", "/rules/hits").json()["items"]
    assert {"rule_id": rule, "hits_24h": 5, "hits_30d": 7} in hits
    assert {"rule_id": 99, "hits_24h": 0, "hits_30d": 1} in hits


def test_hits_of_past_hours_count_until_they_are_a_day_old(
    api: Api, client: redis.Redis, keys: KeySpace
) -> None:
    now = time.time()
    for hours, amount in ((0, 1), (1, 10), (22, 100), (25, 1000)):
        client.hset(activity_keys(keys, now - 3600 * hours)[0], "5", amount)
    for _ in range(2):
        (hit,) = api("GET", "/rules/hits").json()["items"]
        assert hit["hits_24h"] == 111


def test_a_pattern_is_listed_until_a_rule_handles_it(api: Api, client: redis.Redis, keys: KeySpace) -> None:
    *_, patterns, samples = activity_keys(keys, time.time())
    client.zadd(patterns, {"aa": 40, "bb": 50, "cc": 3})
    client.hset(samples, mapping={"aa": event(), "bb": event(message=None, trap_oid="1.3.6.1.4.1.9.9")})
    first, second, third = api("GET", "/unhandled").json()["items"]
    assert (first["digest"], first["events_24h"], first["trap_oid"]) == ("bb", 50, "1.3.6.1.4.1.9.9")
    assert first["proposal"]["match_type"] == "oid_prefix"
    assert (second["pattern"], second["hostname"]) == ("fan tray # removed", "r1")
    assert second["proposal"]["match_string"] == "fan tray"
    assert (third["digest"], third["message"], third["proposal"]) == ("cc", None, None)
    made = {**RULE, "match_string": second["proposal"]["match_string"]}
    assert api("POST", "/rules", made).status_code == 201

    def digests() -> list[str]:
        return [each["digest"] for each in api("GET", "/unhandled").json()["items"]]

    wait_until(lambda: digests() == ["bb", "cc"], message="the pattern has a rule now")


def test_without_the_database_the_activity_tells_what_redis_knows(
    api: Api, client: redis.Redis, keys: KeySpace, stores: Any
) -> None:
    client.hset(activity_keys(keys, time.time())[0], "5", 2)
    api("GET", "/activity")
    stores.postgres.kill()
    try:
        found = api("GET", "/activity")
        assert found.status_code == 200
        assert found.json()["top_rules"] == [{"rule_id": 5, "match": "", "hits_24h": 2}]
    finally:
        stores.postgres.start()


def test_an_outage_of_moogsoft_is_shown_with_its_beginning_and_reason(
    api: Api, client: redis.Redis, keys: KeySpace
) -> None:
    assert api("GET", "/activity").json()["circuit"] == {
        "state": "closed",
        "since": None,
        "reason": "",
        "failures": 0,
    }
    client.hset(
        keys.circuit,
        mapping={"opened_at": "1764072000000", "failures": "7", "reason": "http_503", "backlog": "1"},
    )
    shown = api("GET", "/activity").json()["circuit"]
    assert (shown["state"], shown["reason"], shown["failures"]) == ("open", "http_503", 7)
    assert shown["since"].startswith("2025-11-25T12:00:00")
