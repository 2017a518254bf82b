"""The ingestor's HTTP side, on a real socket and a real Redis, in this process."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import requests
from structlog.testing import capture_logs

from mutt_appliance.config import Settings
from mutt_appliance.ingestor.service import run
from mutt_appliance.process import Child
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.metrics import enable_pool_metrics
from mutt_appliance.telemetry.rates import counter_keys
from tests.conftest import MakeSettings
from tests.support.children import TEST_SECRETS, ChildFactory
from tests.support.waiting import wait_until

EVENT = {"timestamp": "2026-11-24T02:00:00Z", "hostname": "r1", "message": "hello", "syslog_severity": "err"}


class Ingestor:
    """A running ingestor and a client of it."""

    def __init__(self, child: Child, settings: Settings) -> None:
        self.child = child
        self.url = f"http://127.0.0.1:{settings.server_port_ingestor}"
        self.session = requests.Session()
        self.session.headers["X-API-KEY"] = TEST_SECRETS.ingest_api_key
        self.thread = threading.Thread(target=run, args=(child,))
        self.thread.start()

    def post(self, data: bytes | str, **options: Any) -> requests.Response:
        return self.session.post(f"{self.url}/ingest", data=data, timeout=20, **options)

    def stop(self) -> None:
        self.child.request_stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(max_ingest_queue_size=5000)


@pytest.fixture
def ingestor(settings: Settings, child_for: ChildFactory) -> Iterator[Ingestor]:
    enable_pool_metrics(settings.mutt_runtime_dir, "ingestor", 0)
    made = Ingestor(child_for("ingestor", settings), settings)
    wait_until(lambda: any(r["kind"] == "ready" for r in child_for.reports(made.child)), message="it serves")
    yield made
    made.stop()


def queued(client: redis.Redis, settings: Settings) -> list[dict[str, Any]]:
    return [json.loads(item) for item in client.lrange(KeySpace(settings).ingest_queue, 0, -1)]


def test_an_accepted_event_is_in_redis_when_the_answer_comes(
    ingestor: Ingestor, client: redis.Redis, settings: Settings
) -> None:
    answer = ingestor.post(json.dumps(EVENT), headers={"X-Correlation-ID": "corr-1"})
    assert answer.status_code == 200
    assert answer.headers["X-Correlation-ID"] == "corr-1"
    (event,) = queued(client, settings)
    assert event["event_id"] == answer.json()["event_ids"][0]
    assert (event["correlation_id"], event["syslog_severity"]) == ("corr-1", 3)


@pytest.mark.parametrize("key", ["", "wrong", "test-ingest-key2", "schlüssel"])
def test_a_wrong_key_is_401_and_queues_nothing(
    ingestor: Ingestor, client: redis.Redis, settings: Settings, key: str
) -> None:
    answer = ingestor.post(json.dumps(EVENT), headers={"X-API-KEY": key.encode("utf-8")})
    assert answer.status_code == 401
    assert "X-API-KEY" in answer.json()["error"]
    assert queued(client, settings) == []


def test_whose_requests_and_events_are_refused_is_in_the_log(ingestor: Ingestor) -> None:
    with capture_logs() as lines:
        ingestor.post(json.dumps(EVENT), headers={"X-API-KEY": "wrong"})
        ingestor.post(json.dumps([EVENT, {}]))
    refused = {line["event"]: line["address"] for line in lines if "address" in line}
    assert refused == {"request rejected": "127.0.0.1", "events refused": "127.0.0.1"}


def test_a_key_that_a_reload_brought_is_the_one_that_counts(ingestor: Ingestor) -> None:
    ingestor.child.secrets = Secrets(ingest_api_key="renewed")
    ingestor.child.request_reload()
    wait_until(
        lambda: ingestor.post(json.dumps(EVENT), headers={"X-API-KEY": "renewed"}).status_code == 200,
        message="the new key is taken",
    )
    assert ingestor.post(json.dumps(EVENT)).status_code == 401


def test_in_a_rotation_both_keys_are_taken_and_each_use_is_counted(ingestor: Ingestor) -> None:
    ingestor.child.secrets = Secrets(ingest_api_key="old", ingest_api_key_next="new")
    ingestor.child.request_reload()

    def status(key: str) -> int:
        return ingestor.post(json.dumps(EVENT), headers={"X-API-KEY": key}).status_code

    wait_until(lambda: status("new") == 200, message="the next key is taken")
    assert [status(key) for key in ("old", "new", "new", "")] == [200, 200, 200, 401]
    wait_until(
        lambda: all(
            f'mutt_secrets_used_total{{secret="ingest_api_key",which="{which}"}} {count}'
            in ingestor.session.get(f"{ingestor.url}/metrics", timeout=20).text
            for which, count in (("current", "1.0"), ("next", "3.0"))
        ),
        message="the uses are counted",
    )
    ingestor.child.secrets = Secrets(ingest_api_key="new")
    ingestor.child.request_reload()
    wait_until(lambda: status("old") == 401, message="the old key is refused")
    assert status("new") == 200


def test_gzip_and_ndjson_in_one(ingestor: Ingestor, client: redis.Redis, settings: Settings) -> None:
    body = "\n".join(json.dumps(EVENT) for _ in range(500))
    answer = ingestor.post(gzip.compress(body.encode()), headers={"Content-Encoding": "gzip"})
    assert answer.json()["queued"] == 500
    assert len(queued(client, settings)) == 500


def test_a_partly_bad_request_queues_the_good_and_lists_both(
    ingestor: Ingestor, client: redis.Redis, settings: Settings
) -> None:
    answer = ingestor.post(json.dumps([EVENT, {"message": "x"}, EVENT]))
    document = answer.json()
    assert (answer.status_code, document["queued"], len(document["event_ids"])) == (200, 2, 2)
    assert document["refused"] == [{"index": 1, "reason": "timestamp is missing"}]
    letter = json.loads(client.lindex(KeySpace(settings).ingest_dead, 0))  # type: ignore[arg-type]
    assert letter["payload"] == {"message": "x"}


def test_an_all_bad_request_is_400(ingestor: Ingestor) -> None:
    answer = ingestor.post("[{}, 5]")
    assert answer.status_code == 400
    assert [refusal["index"] for refusal in answer.json()["refused"]] == [0, 1]


def test_a_full_queue_is_503_with_retry_after(
    ingestor: Ingestor, client: redis.Redis, settings: Settings
) -> None:
    client.lpush(KeySpace(settings).ingest_queue, *["x"] * 5000)
    answer = ingestor.post(json.dumps(EVENT))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == str(settings.ingest_retry_after_seconds)
    assert "MAX_INGEST_QUEUE_SIZE=5000" in answer.json()["error"]


def test_events_that_no_replica_has_are_503(settings: Settings, child_for: ChildFactory) -> None:
    enable_pool_metrics(settings.mutt_runtime_dir, "ingestor", 0)
    waiting = settings.model_copy(update={"redis_wait_replicas": 1, "redis_wait_timeout_ms": 50})
    made = Ingestor(child_for("ingestor", waiting), waiting)
    try:
        wait_until(
            lambda: any(r["kind"] == "ready" for r in child_for.reports(made.child)), message="it serves"
        )
        answer = made.post(json.dumps(EVENT))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "0 of REDIS_WAIT_REPLICAS=1 replicas have it" in answer.json()["error"]
        metrics = made.session.get(f"{made.url}/metrics", timeout=10).text
        assert 'mutt_ingest_requests_total{reason="replicas",status="fail"} 1.0' in metrics
    finally:
        made.stop()


def test_an_oversized_body_is_413(ingestor: Ingestor, settings: Settings) -> None:
    answer = ingestor.post(b"x" * (settings.ingest_max_body_bytes + 1))
    assert answer.status_code == 413
    bomb = gzip.compress(b" " * (settings.ingest_max_body_bytes + 1))
    assert ingestor.post(bomb, headers={"Content-Encoding": "gzip"}).status_code == 413


def test_the_same_event_id_is_queued_once(
    ingestor: Ingestor, client: redis.Redis, settings: Settings
) -> None:
    body = json.dumps({**EVENT, "event_id": "abc"})
    assert ingestor.post(body).json()["queued"] == 1
    again = ingestor.post(body).json()
    assert (again["queued"], again["duplicates"]) == (0, 1)
    assert len(queued(client, settings)) == 1


def test_events_per_second_are_written_once_a_second_into_every_window(
    ingestor: Ingestor, client: redis.Redis, settings: Settings
) -> None:
    for _ in range(40):
        ingestor.post(json.dumps(EVENT))

    def total(name: str) -> int:
        return sum(int(client.get(key) or 0) for key in client.keys(f"{settings.metrics_prefix}:{name}:*"))

    wait_until(lambda: total("1m") == total("1h") == total("24h") == 40, message="the counters are flushed")
    for key, keep_secs in counter_keys(settings.metrics_prefix, time.time()):
        if client.exists(key):
            assert 0 < client.ttl(key) <= keep_secs


def test_service_levels_count_what_mutt_failed_at_and_not_what_senders_did_wrong(
    ingestor: Ingestor, client: redis.Redis, settings: Settings
) -> None:
    assert ingestor.post(json.dumps(EVENT)).status_code == 200
    assert ingestor.post(json.dumps([EVENT, {}])).status_code == 200
    assert ingestor.post(json.dumps(EVENT), headers={"X-API-KEY": "wrong"}).status_code == 401
    assert ingestor.post("[{}]").status_code == 400
    assert ingestor.post("{").status_code == 400
    client.lpush(KeySpace(settings).ingest_queue, *["x"] * 5000)
    assert ingestor.post(json.dumps(EVENT)).status_code == 503

    def total(outcome: str) -> int:
        prefix = KeySpace(settings).outcomes("ingestor", outcome)
        return sum(int(client.get(key) or 0) for key in client.keys(f"{prefix}:5m:*"))

    wait_until(lambda: (total("success"), total("fail")) == (2, 1), message="requests by outcome are flushed")


def test_metrics_have_every_name_of_the_specification(ingestor: Ingestor) -> None:
    ingestor.post(json.dumps(EVENT))

    def metrics() -> str:
        return ingestor.session.get(f"{ingestor.url}/metrics", timeout=10).text

    wait_until(lambda: "mutt_ingest_queue_depth 1.0" in metrics(), message="the depth is told once a second")
    text = metrics()
    assert 'mutt_ingest_requests_total{reason="",status="success"} 1.0' in text
    assert "mutt_ingest_latency_seconds_count 1.0" in text


def test_health_tells_that_redis_is_away_and_back(
    ingestor: Ingestor, client: redis.Redis, stores: Any
) -> None:
    def health() -> requests.Response:
        return ingestor.session.get(f"{ingestor.url}/health", timeout=10)

    wait_until(lambda: health().status_code == 200, message="it is well")
    stores.redis.kill()
    try:
        answer = ingestor.post(json.dumps(EVENT))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        wait_until(lambda: health().status_code == 503, message="it says so")
        component = health().json()["processes"]["ingestor:0"]["components"]["redis"]
        assert component["ok"] is False
    finally:
        stores.redis.start()
    wait_until(lambda: ingestor.post(json.dumps(EVENT)).status_code == 200, message="events are taken again")
    wait_until(lambda: health().status_code == 200, message="it is well again")
