"""What the web UI shows of several shards is what lies in all of them, those of an earlier configuration too."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import redis
import requests

from mutt_appliance.config import Settings
from mutt_appliance.queueing.activity import activity_keys
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.keys import KeySpace
from tests.conftest import MakeSettings
from tests.support.children import TEST_SECRETS
from tests.support.waiting import wait_until
from tests.webui.conftest import Api


@pytest.fixture
def settings(make_settings: MakeSettings, settings: Settings, client: redis.Redis) -> Settings:
    """Two shards, and a third that was in use before; nothing is cached."""
    client.zadd(KeySpace(settings).shards, {"0": 1, "1": 1, "2": 1})
    return make_settings(metrics_cache_ttl=0, redis_shards=2)


@pytest.fixture
def spaces(settings: Settings) -> list[KeySpace]:
    return [KeySpace(settings, shard) for shard in range(3)]


def test_depths_hits_hosts_and_patterns_are_added_up(
    api: Api, url: str, client: redis.Redis, spaces: list[KeySpace]
) -> None:
    for shard, keys in enumerate(spaces):
        hour, day, hosts, patterns, samples = activity_keys(keys, time.time())
        client.hset(hour, "7", 1)
        client.hset(day, "7", 2)
        client.zadd(hosts, {f"r{shard}": 10 + shard})
        client.zadd(patterns, {"aa": 5, f"only-{shard}": 1 + shard})
        client.hset(samples, f"only-{shard}", json.dumps({"hostname": f"r{shard}", "message": f"m {shard}"}))
        client.lpush(keys.ingest_queue, *"x" * (shard + 1))
        client.lpush(keys.alert_queue, "x")
        client.zadd(keys.retry, {"x": 1})
        client.lpush(keys.events.dead, "x", "y")
    found = api("GET", "/activity").json()
    assert found["queues"] == {"ingest": 6, "alert": 3, "retry": 3}
    assert found["dead_letters"] == {"ingest": 0, "alerter": 6, "moog": 0}
    assert [each["hostname"] for each in found["top_hosts"]] == ["r2", "r1", "r0"]
    assert [(each["digest"], each["events_24h"]) for each in found["unhandled"]] == [
        ("aa", 15), ("only-2", 3), ("only-1", 2), ("only-0", 1),
    ]  # fmt: skip
    assert [each["message"] for each in found["unhandled"]] == [None, "m 2", "m 1", "m 0"]
    assert api("GET", "/rules/hits").json()["items"] == [{"rule_id": 7, "hits_24h": 3, "hits_30d": 6}]
    text = requests.get(url + "/status", headers={"X-API-KEY": TEST_SECRETS.webui_api_key}, timeout=10).text
    assert "ingest queue     6" in text
    assert "alerter 6" in text


def test_dead_letters_of_all_shards_are_listed_and_replayed_where_they_lie(
    api: Api, client: redis.Redis, spaces: list[KeySpace]
) -> None:
    for shard, keys in enumerate(spaces):
        for number in range(3):
            alert = {"alert_id": f"a{shard}{number}", "hostname": f"r{shard}"}
            raw = dead_letter(json.dumps(alert), "http_404", 1, "moog", f"2026-11-24T02:0{number}:0{shard}Z")
            client.lpush(keys.alerts.dead, raw)

    def names(**query: Any) -> list[str]:
        page = api("GET", "/dlq/moog", params=query).json()
        return [letter["payload"]["alert_id"] for letter in page["items"]]

    assert names() == ["a22", "a12", "a02", "a21", "a11", "a01", "a20", "a10", "a00"]
    assert names(offset=1, limit=3) == ["a12", "a02", "a21"]
    (summary,) = [each for each in api("GET", "/dlq").json()["items"] if each["queue"] == "moog"]
    assert (summary["depth"], summary["oldest_at"]) == (9, "2026-11-24T02:00:00Z")
    letter = api("GET", "/dlq/moog", params={"hostname": "r2"}).json()["items"][0]
    assert api("POST", f"/dlq/moog/{letter['id']}/replay", {}).json() == {"count": 1}
    assert [client.llen(keys.alert_queue) for keys in spaces] == [0, 0, 1]
    assert api("POST", "/dlq/moog/replay", {}).status_code == 202
    wait_until(lambda: api("GET", "/dlq/moog/replay").json()["state"] == "done", message="all are replayed")
    assert api("GET", "/dlq/moog/replay").json()["replayed"] == 8
    assert [client.llen(keys.alert_queue) for keys in spaces] == [3, 3, 3]
