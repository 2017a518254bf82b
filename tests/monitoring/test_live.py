"""A real Prometheus that scrapes a running appliance: every query has data, and alerts fire when their cause is there.

The tests go on where the one before ended, on one appliance, with TLS on its doors and its secrets in Vault.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from mutt_appliance.webui.slo import AVAILABILITY
from tests.support.appliance import REPOSITORY, Appliance
from tests.support.certificates import Authority, Issued
from tests.support.monitoring import (
    DASHBOARD,
    alerts,
    metrics_in,
    recorded,
)
from tests.support.moogsoft import OK, Answer, Moogsoft
from tests.support.prometheus import APPLIANCE, INSTANCE, PORTS, Prometheus
from tests.support.rules import add_rules, reload_rules, rule
from tests.support.servers import PostgresServer, RedisServer
from tests.support.vault import VaultStub, variables
from tests.support.waiting import free_port, wait_until

# Each of these alerts takes some seconds to fire.
long = pytest.mark.ha

DATABASE = "mutt_db"
PAGED = "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"
PAUSE_SECS = 0.1
FIRES_SECS = 90.0
DATA_SECS = 90.0
QUIET = {
    "UNHANDLED_THRESHOLD": "1000000",
    "ALERTER_QUEUE_WARN_THRESHOLD": "1000000",
    "ALERTER_QUEUE_SHED_THRESHOLD": "1000000",
    "MOOG_RATE_LIMIT": "2000",
    "MOOG_MAX_RETRIES": "1",
    "MOOG_RETRY_BASE_DELAY": "0.2",
    "RESTART_BACKOFF_BASE": "0.1",
    "RESTART_BACKOFF_MAX": "0.5",
    # A Vault that is away is looked for again this often.
    "VAULT_RENEW_CHECK_INTERVAL": "1",
}
KEYS = {"INGEST_API_KEY": "of-senders", "WEBUI_API_KEY": "of-administrators", "MOOG_API_KEY": "of-mutt"}
LONG_DAYS, SHORT_DAYS, ENDING_DAYS = 90, 20, 2
FULL = 900_001
CHUNK = 50_000


@dataclass
class Field:
    """The appliance, what stands around it, and the Prometheus that looks at it."""

    appliance: Appliance
    redis: RedisServer
    postgres: PostgresServer
    moogsoft: Moogsoft
    vault: VaultStub
    authority: Authority
    ingest: Issued
    prometheus: Prometheus

    def post(self, body: Any, key: str | None = None) -> int:
        """Send to the ingestor; the status."""
        return requests.post(
            self.appliance.url(),
            json=body,
            headers={"X-API-KEY": KEYS["INGEST_API_KEY"] if key is None else key},
            timeout=10,
            verify=str(self.authority.ca),
        ).status_code

    def paged(self, number: int) -> list[dict[str, str]]:
        """Events that become alerts."""
        event = {"timestamp": "2026-11-24T12:00:00Z", "hostname": "core-1", "message": PAGED}
        return [event] * number

    def new_certificate(self, days: float) -> None:
        """Renew that of the ingestor with one that ends so many days from now."""
        self.ingest.replace_with(self.authority.issue("next", INSTANCE, valid_days=days))
        self.ctl("reload")

    def ctl(self, *words: str) -> None:
        """mutt-ctl, which must succeed."""
        runtime = self.appliance.env["MUTT_RUNTIME_DIR"]
        subprocess.run(
            [sys.executable, "-m", "mutt_appliance.cli.ctl", "--runtime-dir", runtime, *words],
            check=True,
            cwd=REPOSITORY,
            capture_output=True,
        )

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The web UI's API, as its administrator."""
        answer = requests.request(
            method,
            self.appliance.url(f"/api/v1{path}", "SERVER_PORT_WEBUI"),
            json=body,
            headers={"X-API-KEY": KEYS["WEBUI_API_KEY"]},
            timeout=10,
            verify=str(self.authority.ca),
        )
        assert answer.ok, answer.text
        return answer.json()

    def without_data(self) -> list[str]:
        """Queries of the dashboard that return nothing, or nothing but NaN."""
        return [
            query
            for query in queries()
            if all(math.isnan(float(sample["value"][1])) for sample in self.prometheus.query(query))
        ]

    def fires(self, name: str) -> dict[str, Any]:
        """Wait until the alert fires; its labels and annotations."""
        firing = wait_until(
            lambda: self.prometheus.firing().get(name),
            FIRES_SECS,
            f"{name} fires; {self.prometheus.firing()}",
        )
        assert firing is not None
        return firing[0]

    def ends(self, name: str) -> None:
        """Wait until the alert does not fire any more."""
        wait_until(lambda: name not in self.prometheus.firing(), FIRES_SECS, f"{name} ends")

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Some of everything, all the time."""
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(PAUSE_SECS):
                self.post(
                    [*self.paged(5), {**self.paged(1)[0], "message": "nobody knows this"}, {"no": "event"}]
                )

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with ExitStack() as stack:
        redis_server, postgres = RedisServer(), PostgresServer()
        for server in (redis_server, postgres):
            stack.callback(server.close)
            server.start()
        moogsoft = stack.enter_context(Moogsoft(keep=False))
        vault = stack.enter_context(VaultStub())
        vault.put(KEYS)
        folder = tmp_path_factory.mktemp("prometheus")
        authority = Authority(folder)
        ingest, webui = (authority.issue(of, INSTANCE, valid_days=LONG_DAYS) for of in ("ingest", "webui"))
        port = free_port()
        outside = {
            "REDIS_HOST": redis_server.address,
            "DB_HOST": postgres.address,
            "DB_NAME": DATABASE,
            "MOOG_WEBHOOK_URL": moogsoft.url,
            "PROMETHEUS_URL": f"http://127.0.0.1:{port}",
            "INGEST_TLS_CERT_PATH": str(ingest.cert),
            "INGEST_TLS_KEY_PATH": str(ingest.key),
            "WEBUI_TLS_CERT_PATH": str(webui.cert),
            "WEBUI_TLS_KEY_PATH": str(webui.key),
            **variables(vault, vault.access(), folder),
        }
        appliance = stack.enter_context(Appliance({**outside, **QUIET}, ca=authority.ca))
        appliance.start_and_wait()
        appliance.wait_for_log("every process serves")
        add_rules(postgres, DATABASE, [rule("%LINK-3-UPDOWN")])
        reload_rules(appliance)
        prometheus = stack.enter_context(Prometheus(folder, port, appliance.ports, authority.ca))
        made = Field(appliance, redis_server, postgres, moogsoft, vault, authority, ingest, prometheus)
        # Whichever test comes first finds a Prometheus that has seen some of everything.
        with made.traffic():
            wait_until(lambda: not made.without_data(), DATA_SECS, "every query has data", interval_secs=1)
        yield made


def queries() -> list[str]:
    """Every query of the dashboard, with what Grafana would put in for its variables."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    values = {"$appliance": ".*", "$instance": INSTANCE, "$__rate_interval": "1m"}
    for variable, value in values.items():
        found = [query.replace(variable, value) for query in found]
    return found


def test_every_query_of_the_dashboard_returns_data(field: Field) -> None:
    assert len(queries()) > 50
    assert not any("$" in query for query in queries())
    assert field.without_data() == []
    selector = 'up{job=~"mutt-.+"}'
    assert field.prometheus.values_of("appliance", selector) == [APPLIANCE]
    assert field.prometheus.values_of("instance", selector) == [INSTANCE]


def test_every_metric_of_rules_and_dashboard_is_exposed(field: Field) -> None:
    text = "".join(
        requests.get(
            field.appliance.url("/metrics", variable), timeout=10, verify=str(field.authority.ca)
        ).text
        for variable in PORTS.values()
    )
    exposed = set(re.findall(r"^(mutt_[a-z_]+)", text, re.MULTILINE))
    of_records = (expr for expressions in recorded().values() for expr in expressions)
    used = metrics_in([*(alert.expr for alert in alerts()), *of_records, *queries()])
    assert used - exposed == set()


def test_no_rule_fails_and_no_alert_fires_while_all_is_well(field: Field) -> None:
    assert field.prometheus.faulty_rules() == {}
    # Some events of the traffic were refused, on purpose.
    expected = {"MUTTEventsRefused", "MUTTDLQGrowing"}
    assert field.prometheus.firing().keys() - expected == set()


@long
def test_a_wrong_key_of_a_sender_is_told(field: Field) -> None:
    assert field.post(field.paged(1), key="wrong") == 401
    field.fires("MUTTSendersUnauthorized")


@long
def test_service_levels_come_from_prometheus_as_specified_and_metrics_from_mutt(field: Field) -> None:
    ingestor = field.api("GET", "/slo")["components"]["ingestor"]
    query = AVAILABILITY.format(metric="mutt_ingest_requests_total", window="24h")
    ((_, value),) = (sample["value"] for sample in field.prometheus.query(query))
    # The sender with the wrong key counts as failed in the specification's expression, and nowhere else.
    assert ingestor["source"] == "prometheus"
    assert ingestor["availability"] == pytest.approx(float(value), abs=1e-3)
    assert 0 < ingestor["availability"] < 1
    (own,) = field.prometheus.query('mutt_slo_availability{component="ingestor"}')
    assert float(own["value"][1]) == 1
    burn = field.prometheus.query('appliance_component:mutt_slo_burn:rate5m{component="ingestor"}')
    assert [float(sample["value"][1]) for sample in burn] == [0.0]


@long
def test_poison_in_the_alerters_dead_letters(field: Field) -> None:
    with field.redis.client() as client:
        client.lpush("mutt:ingest_queue", *(f"no event {number}" for number in range(101)))
    alert = field.fires("MUTTHighAlerterDLQ")
    assert alert["annotations"]["description"] == f"{INSTANCE}: 101 dead letters of the alerter."
    with field.redis.client() as client:
        client.delete("mutt:dlq:alerter")
    field.ends("MUTTHighAlerterDLQ")


@long
def test_alerts_that_moogsoft_refuses_in_the_forwarders_dead_letters(field: Field) -> None:
    field.moogsoft.answer = lambda _: Answer(404)
    assert field.post(field.paged(51)) == 200
    field.fires("MUTTHighMoogDLQ")
    field.fires("MUTTMoogAway")
    field.moogsoft.answer = lambda _: OK
    assert field.post(field.paged(1)) == 200
    field.ends("MUTTMoogAway")


@long
def test_the_rate_limit_reached_again_and_again(field: Field) -> None:
    field.api("PUT", "/config/moog_rate_limit", {"value": 1})
    field.api("PUT", "/config/moog_rate_period", {"value": 0.02})
    assert field.post(field.paged(5000)) == 200
    field.fires("MUTTMoogRateLimitHit")
    field.api("PUT", "/config/moog_rate_limit", {"value": 2000})
    field.ends("MUTTMoogRateLimitHit")


@long
def test_an_ingest_queue_near_its_cap_and_events_that_nobody_takes(field: Field) -> None:
    field.ctl("stop", "alerter")
    with field.redis.client() as client, client.pipeline(transaction=False) as pipe:
        for begin in range(0, FULL, CHUNK):
            pipe.lpush("mutt:ingest_queue", *(b"x" for _ in range(min(CHUNK, FULL - begin))))
        pipe.execute()
    field.fires("MUTTIngestQueueFull")
    # Its pool is gone as a whole, so nobody answers on its port.
    assert field.fires("MUTTTargetDown")["labels"]["job"] == "mutt-alerter"
    assert field.fires("MUTTProcessDown")["labels"]["process"] == "alerter:0"
    with field.redis.client() as client:
        client.delete("mutt:ingest_queue")
    field.ends("MUTTIngestQueueFull")
    field.ctl("start", "alerter")
    field.ends("MUTTTargetDown")
    field.ends("MUTTProcessDown")


@long
def test_a_process_that_ends_again_and_again(field: Field) -> None:
    for times in range(1, 6):
        os.kill(field.appliance.children()["webui:0"], signal.SIGKILL)
        field.appliance.wait_for_log("process state", child="webui:0", state="RUNNING", count=times + 1)
    assert field.fires("MUTTProcessFlapping")["labels"]["process"] == "webui:0"


@long
def test_a_certificate_that_ends_soon_and_one_that_is_about_to_end(field: Field) -> None:
    field.new_certificate(SHORT_DAYS)
    alert = field.fires("MUTTCertificateExpiring")
    assert alert["labels"]["certificate"] == "ingest"
    assert "certificate ingest ends in 19d" in alert["annotations"]["description"]
    assert "MUTTCertificateEnds" not in field.prometheus.firing()
    field.new_certificate(ENDING_DAYS)
    assert field.fires("MUTTCertificateEnds")["labels"]["certificate"] == "ingest"
    field.new_certificate(LONG_DAYS)
    field.ends("MUTTCertificateEnds")
    field.ends("MUTTCertificateExpiring")


@long
def test_vault_away(field: Field) -> None:
    field.vault.stop()
    field.fires("MUTTVaultAway")
    # What is known stays in use.
    assert field.post(field.paged(1)) == 200
    field.vault.start()
    field.ends("MUTTVaultAway")


@long
def test_no_rules(field: Field) -> None:
    (made,) = field.api("GET", "/rules")["items"]
    field.api("PUT", f"/rules/{made['id']}", {"is_active": False})
    field.fires("MUTTNoRules")
    field.api("PUT", f"/rules/{made['id']}", {"is_active": True})
    field.ends("MUTTNoRules")


@long
def test_the_database_away_and_no_event_that_is_processed(field: Field) -> None:
    field.postgres.pause()
    try:
        # More than the alerter holds in its hands.
        assert field.post(field.paged(5_000)) == 200
        field.fires("MUTTDatabaseAway")
        field.fires("MUTTAlerterStalled")
    finally:
        field.postgres.resume()
    field.ends("MUTTDatabaseAway")
    field.ends("MUTTAlerterStalled")


@long
def test_moogsoft_down_with_alerts_that_wait(field: Field) -> None:
    field.moogsoft.answer = lambda _: Answer(503)
    assert field.post(field.paged(1_500)) == 200
    field.fires("MUTTAlertQueueDeep")
    field.moogsoft.answer = lambda _: OK
    field.ends("MUTTAlertQueueDeep")
    field.ends("MUTTMoogAway")


@long
def test_redis_away_and_requests_that_fail(field: Field) -> None:
    field.redis.pause()
    try:
        field.fires("MUTTRedisAway")
        for _ in range(3):
            assert field.post(field.paged(1)) == 503
        alert = field.fires("MUTTIngestUnavailable")
        assert alert["labels"]["reason"] in ("redis", "overloaded")
    finally:
        field.redis.resume()
    field.ends("MUTTRedisAway")
    assert field.prometheus.faulty_rules() == {}
