"""The web UI's plain status answer, on real stores."""

from __future__ import annotations

import time

import pytest
import redis
import requests

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.telemetry.health import HealthBoard
from mutt_appliance.telemetry.rates import counter_keys
from mutt_appliance.webui.status import ROLES
from tests.conftest import Stores
from tests.support.children import TEST_SECRETS
from tests.support.waiting import wait_until


def status(url: str, key: str = TEST_SECRETS.webui_api_key) -> requests.Response:
    return requests.get(url + "/status", headers={"X-API-KEY": key}, timeout=10)


def all_well(settings: Settings) -> None:
    for role in ROLES:
        board = HealthBoard(settings.mutt_runtime_dir, role, 0)
        board.set("redis", True)
        board.publish()


def test_the_status_shows_rates_depths_and_processes(
    url: str, client: redis.Redis, settings: Settings
) -> None:
    all_well(settings)
    keys = KeySpace(settings)
    client.lpush(keys.ingest_queue, "1", "2", "3")
    client.lpush(keys.alerts.dead, "1")
    for name, _ in counter_keys(keys.metrics_prefix, time.time()):
        client.set(name, 6000)
    answer = status(url)
    assert answer.status_code == 200
    found = dict(
        line.split(None, 1) for line in answer.text.splitlines() if line.startswith(("events", "alerter"))
    )
    assert 50 <= float(found["events/s"].split()[0]) <= 100
    assert "ingest queue     3" in answer.text
    assert "moog 1" in answer.text
    assert found["alerter"] == "ok"


def test_a_sick_process_is_named_with_what_is_wrong(url: str, settings: Settings) -> None:
    all_well(settings)
    board = HealthBoard(settings.mutt_runtime_dir, "alerter", 1)
    board.set("database", False, "connection refused")
    board.publish()
    answer = status(url)
    assert answer.status_code == 503
    assert "alerter:1" in answer.text
    assert "database: connection refused" in answer.text


@pytest.mark.parametrize("key", ["", "wrong", TEST_SECRETS.ingest_api_key])
def test_the_status_needs_its_own_key(url: str, key: str) -> None:
    answer = status(url, key)
    assert answer.status_code == 401
    assert "ingest queue" not in answer.text


def test_metrics_and_health_need_no_key(url: str, settings: Settings) -> None:
    status(url)
    assert (
        'mutt_webui_api_requests_total{endpoint="/status"' in requests.get(url + "/metrics", timeout=10).text
    )
    health = requests.get(url + "/health", timeout=10)
    assert health.status_code == 200
    assert set(health.json()["processes"]["webui:0"]["components"]) == {
        "redis",
        "database",
        "dlq_archive",
    }


def test_health_tells_that_the_database_is_away(url: str, stores: Stores) -> None:
    stores.postgres.kill()
    try:
        wait_until(
            lambda: requests.get(url + "/health", timeout=10).status_code == 503, 20, message="it says so"
        )
        components = requests.get(url + "/health", timeout=10).json()["processes"]["webui:0"]["components"]
        assert (components["redis"]["ok"], components["database"]["ok"]) == (True, False)
    finally:
        stores.postgres.start()
    wait_until(
        lambda: requests.get(url + "/health", timeout=10).status_code == 200, 20, message="it is well again"
    )
