"""The ingestor's door with TLS: who gets in, who does not, and certificates renewed under its feet."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mutt_appliance.config import Settings
from mutt_appliance.ingestor.service import run
from mutt_appliance.process import Child
from mutt_appliance.telemetry.metrics import enable_pool_metrics
from tests.conftest import MakeSettings
from tests.support.certificates import Authority, Issued
from tests.support.children import TEST_SECRETS, ChildFactory
from tests.support.tls_client import Said, ask, old, trusting, weak
from tests.support.waiting import wait_until

EVENT = {"timestamp": "2026-11-24T02:00:00Z", "hostname": "r1", "message": "hello"}
HOUR_DAYS = 1 / 24


class Ingestor:
    """A running ingestor with TLS, its authority, and its clients."""

    def __init__(self, child: Child, authority: Authority, shown: Issued, factory: ChildFactory) -> None:
        self.child = child
        self.authority = authority
        self.shown = shown
        self.port = child.settings.server_port_ingestor
        self.reports: list[dict[str, Any]] = []
        self._factory = factory
        self._thread = threading.Thread(target=run, args=(child,))
        self._thread.start()
        wait_until(lambda: any(r["kind"] == "ready" for r in self.news()), message="it serves")

    def news(self) -> list[dict[str, Any]]:
        """Every report so far."""
        self.reports += self._factory.reports(self.child)
        return self.reports

    def post(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1", key: str = "") -> Said:
        """One event."""
        headers = {"X-API-KEY": key or TEST_SECRETS.ingest_api_key}
        body = json.dumps(EVENT).encode()
        return ask(self.port, context or trusting(self.authority.ca), "POST", "/ingest", body, headers, host)

    def reload(self) -> dict[str, Any]:
        """As SIGHUP; what the supervisor is told."""
        self.child.reload_round += 1
        number = self.child.reload_round
        self.child.request_reload()

        def answer() -> list[dict[str, Any]]:
            return [r for r in self.news() if r["kind"] == "reload" and r["round"] == number]

        return wait_until(answer, message="an answer to the reload")[0]

    def metric(self, name: str, context: ssl.SSLContext | None = None) -> float:
        """A sample of /metrics, 0 while it is not there."""
        said = ask(self.port, context or trusting(self.authority.ca), path="/metrics")
        lines = [line.rpartition(" ") for line in said.body.decode().splitlines()]
        return next((float(value) for sample, _, value in lines if sample == name), 0.0)

    def failed(self, reason: str, context: ssl.SSLContext | None = None) -> float:
        """How many handshakes failed for this reason."""
        return self.metric(f'mutt_tls_handshakes_total{{reason="{reason}",result="failed"}}', context)

    def stop(self) -> None:
        self.child.request_stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


Start = Callable[..., Ingestor]


@pytest.fixture
def start(make_settings: MakeSettings, child_for: ChildFactory, authority: Authority) -> Iterator[Start]:
    """Start an ingestor; arguments are further settings."""
    running = []

    def begin(**overrides: Any) -> Ingestor:
        shown = authority.issue("door", "127.0.0.1", "mutt.example.net")
        settings: Settings = make_settings(
            ingest_tls_cert_path=shown.cert, ingest_tls_key_path=shown.key, **overrides
        )
        enable_pool_metrics(settings.mutt_runtime_dir, "ingestor", 0)
        running.append(Ingestor(child_for("ingestor", settings), authority, shown, child_for))
        return running[-1]

    yield begin
    for each in running:
        each.stop()


def test_an_event_comes_in_over_tls(start: Start) -> None:
    ingestor = start()
    said = ingestor.post()
    assert (said.status, json.loads(said.body)["queued"]) == (200, 1)
    assert ask(ingestor.port, trusting(ingestor.authority.ca)).status == 200
    assert ingestor.metric('mutt_tls_handshakes_total{reason="",result="no_client_certificate"}') >= 2


def test_plain_http_gets_no_answer_and_one_line_in_the_log(start: Start) -> None:
    """An answer of 4xx would be final for rsyslog, and the event gone; without one it tries again."""
    ingestor = start()
    with capture_logs() as logs:
        for _ in range(20):
            with pytest.raises((ConnectionError, http.client.BadStatusLine)):
                ask(ingestor.port, None)
        wait_until(lambda: ingestor.failed("plain_http") == 20, message="all are counted")
    lines = [line for line in logs if line["event"] == "TLS handshakes failed"]
    assert [(line["reason"], line["log_level"]) for line in lines] == [("plain_http", "warning")]
    assert "exc_info" not in lines[0]


@pytest.mark.parametrize(("client", "reason"), [(old, "old_protocol"), (weak, "no_shared_cipher")])
def test_old_versions_and_weak_ciphers_are_refused(
    start: Start, client: Callable[[Path], ssl.SSLContext], reason: str
) -> None:
    ingestor = start()
    with pytest.raises(OSError):  # noqa: PT011 - what a client sees depends on its own OpenSSL
        ingestor.post(client(ingestor.authority.ca))
    wait_until(lambda: ingestor.failed(reason) == 1, message=f"counted as {reason}")


def test_a_client_of_tls_1_2_is_served(start: Start) -> None:
    ingestor = start()
    context = trusting(ingestor.authority.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert ingestor.post(context).status == 200


def test_clients_that_do_not_trust_it_are_counted_as_such(start: Start, tmp_path: Path) -> None:
    ingestor = start()
    with pytest.raises(ssl.SSLCertVerificationError):
        ingestor.post(trusting(Authority(tmp_path, "another").ca))
    with pytest.raises(ssl.SSLCertVerificationError):
        ingestor.post(host="localhost")
    wait_until(lambda: ingestor.failed("refused_by_client") == 2, message="both are counted")


def test_with_a_client_ca_only_its_certificates_get_in_and_the_key_is_needed_as_well(
    start: Start, tmp_path: Path
) -> None:
    senders = Authority(tmp_path, "senders")
    ingestor = start(ingest_tls_client_ca_path=senders.ca)
    ca = ingestor.authority.ca
    known = trusting(ca, senders.issue("relay", "relay.example.net"))
    with pytest.raises(OSError):  # noqa: PT011
        ingestor.post(trusting(ca))
    strangers = Authority(tmp_path, "strangers")
    with pytest.raises(OSError):  # noqa: PT011
        ingestor.post(trusting(ca, strangers.issue("stranger", "relay.example.net")))
    with pytest.raises(OSError):  # noqa: PT011
        ingestor.post(trusting(ca, senders.issue("expired", "relay.example.net", valid_days=-1)))
    assert ingestor.post(known).status == 200
    assert ingestor.post(known, key="wrong").status == 401
    wait_until(lambda: ingestor.failed("bad_client_certificate", known) == 2, message="two bad ones")
    assert ingestor.failed("no_client_certificate", known) == 1
    assert ingestor.metric('mutt_tls_handshakes_total{reason="",result="client_certificate"}', known) >= 2


def test_optional_takes_clients_without_a_certificate_and_none_with_a_bad_one(
    start: Start, tmp_path: Path
) -> None:
    senders = Authority(tmp_path, "senders")
    ingestor = start(ingest_tls_client_ca_path=senders.ca, ingest_tls_client_auth="optional")
    ca = ingestor.authority.ca
    assert ingestor.post(trusting(ca)).status == 200
    assert ingestor.post(trusting(ca, senders.issue("relay", "relay"))).status == 200
    with pytest.raises(OSError):  # noqa: PT011
        ingestor.post(trusting(ca, Authority(tmp_path, "strangers").issue("stranger", "relay")))


def test_the_name_in_a_senders_certificate_is_in_no_log(
    start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    senders = Authority(tmp_path, "senders")
    ingestor = start(ingest_tls_client_ca_path=senders.ca)
    for days in (30, -1):
        shown = senders.issue("relay", "secretive.example.net", common_name="Secretive", valid_days=days)
        context = trusting(ingestor.authority.ca, shown)
        if days > 0:
            ingestor.post(context)
        else:
            with pytest.raises(OSError):  # noqa: PT011
                ingestor.post(context)
    ingestor.reload()
    said = capfd.readouterr()
    assert "TLS handshakes failed" in said.out + said.err
    assert "ecretive" not in said.out + said.err


def test_a_reload_shows_the_new_certificate_and_leaves_connections_alone(start: Start) -> None:
    ingestor = start()
    context = trusting(ingestor.authority.ca)
    with closing(http.client.HTTPSConnection("127.0.0.1", ingestor.port, context=context)) as before:
        before.request("GET", "/health")
        before.getresponse().read()
        held = before.sock
        ingestor.shown.replace_with(ingestor.authority.issue("renewed", "127.0.0.1", "renewed.example.net"))
        answer = ingestor.reload()
        assert answer["ok"], answer
        assert "ingest until" in answer["told"]
        before.request("GET", "/health")
        assert before.getresponse().read()
        assert before.sock is held
    assert "renewed.example.net" in names_shown(ingestor)


def names_shown(ingestor: Ingestor) -> list[str]:
    """DNS names of the certificate that a new connection is shown."""
    context = trusting(ingestor.authority.ca)
    with closing(http.client.HTTPSConnection("127.0.0.1", ingestor.port, context=context)) as connection:
        connection.connect()
        shown: Any = connection.sock.getpeercert()
        return [value for kind, value in shown["subjectAltName"] if kind == "DNS"]


def broken_key(ingestor: Ingestor) -> None:
    ingestor.shown.key.write_bytes(ingestor.authority.issue("other", "127.0.0.1").key.read_bytes())


def no_certificate(ingestor: Ingestor) -> None:
    ingestor.shown.cert.write_text("nothing of the kind")


def no_file(ingestor: Ingestor) -> None:
    ingestor.shown.key.unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (broken_key, "INGEST_TLS_KEY_PATH={key}: is not the key of INGEST_TLS_CERT_PATH={cert}"),
        (no_certificate, "INGEST_TLS_CERT_PATH={cert}: holds no certificate"),
        (no_file, "INGEST_TLS_KEY_PATH={key}: cannot be read: No such file or directory"),
    ],
)
def test_files_that_cannot_be_used_leave_the_old_ones_in_force(
    start: Start, spoil: Callable[[Ingestor], None], told: str
) -> None:
    ingestor = start()
    spoil(ingestor)
    answer = ingestor.reload()
    assert not answer["ok"]
    assert told.format(cert=ingestor.shown.cert, key=ingestor.shown.key) in answer["error"]
    assert names_shown(ingestor) == ["mutt.example.net"]
    assert ingestor.post().status == 200


def test_an_authority_that_is_taken_away_lets_nobody_in_any_more(start: Start, tmp_path: Path) -> None:
    senders, later = Authority(tmp_path, "senders"), Authority(tmp_path, "later")
    ingestor = start(ingest_tls_client_ca_path=senders.ca)
    first = trusting(ingestor.authority.ca, senders.issue("relay", "relay"))
    second = trusting(ingestor.authority.ca, later.issue("relay-2", "relay"))
    assert ingestor.post(first).status == 200
    senders.ca.write_bytes(later.ca.read_bytes())
    assert ingestor.reload()["ok"]
    with pytest.raises(OSError):  # noqa: PT011
        ingestor.post(first)
    assert ingestor.post(second).status == 200


def test_no_request_fails_while_certificates_are_renewed(start: Start) -> None:
    ingestor = start()
    stopping = threading.Event()
    statuses: list[int] = []
    failures: list[BaseException] = []

    def new_connections() -> None:
        context = trusting(ingestor.authority.ca)
        while not stopping.is_set():
            try:
                statuses.append(ingestor.post(context).status)
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)

    def one_connection() -> None:
        context = trusting(ingestor.authority.ca)
        with closing(http.client.HTTPSConnection("127.0.0.1", ingestor.port, context=context)) as connection:
            while not stopping.is_set():
                try:
                    connection.request("GET", "/health")
                    response = connection.getresponse()
                    response.read()
                    statuses.append(response.status)
                except (OSError, http.client.HTTPException) as error:
                    failures.append(error)

    threads = [threading.Thread(target=work) for work in (new_connections, new_connections, one_connection)]
    for thread in threads:
        thread.start()
    try:
        for number in range(10):
            before = len(statuses)
            ingestor.shown.replace_with(
                ingestor.authority.issue("next", "127.0.0.1", f"n{number}.example.net")
            )
            assert ingestor.reload()["ok"]
            wait_until(lambda least=before + 30: len(statuses) >= least, message="requests go on")  # type: ignore[misc]
    finally:
        stopping.set()
        for thread in threads:
            thread.join(20)
    assert failures == []
    assert set(statuses) == {200}
    assert names_shown(ingestor) == ["n9.example.net"]


def test_the_end_of_each_certificate_is_a_metric_and_a_warning_before(start: Start, tmp_path: Path) -> None:
    senders = Authority(tmp_path, "senders")
    ingestor = start(ingest_tls_client_ca_path=senders.ca, ingest_tls_client_auth="optional")
    name = 'mutt_tls_certificate_expiry_timestamp_seconds{certificate="ingest"}'
    now = time.time()
    wait_until(lambda: ingestor.metric(name) > 0, message="the metric is there")
    assert ingestor.metric(name) - now == pytest.approx(30 * 86400, abs=600)
    assert ingestor.metric(name.replace('"ingest"', '"ingest_client_ca"')) > now
    with capture_logs() as logs:
        ingestor.shown.replace_with(ingestor.authority.issue("short", "127.0.0.1", valid_days=HOUR_DAYS))
        ingestor.reload()
        assert ingestor.metric(name) - now == pytest.approx(3600, abs=600)
        ingestor.reload()
    lines = [line for line in logs if line["event"] == "certificate expires soon"]
    assert [(line["certificate"], line["days"]) for line in lines] == [("ingest", 0)]
    assert str(ingestor.shown.cert) in lines[0]["file"]


def test_a_stop_does_not_wait_for_clients_that_only_hold_a_connection(start: Start) -> None:
    ingestor = start()
    context = trusting(ingestor.authority.ca)
    with closing(http.client.HTTPSConnection("127.0.0.1", ingestor.port, context=context)) as held:
        held.request("GET", "/health")
        held.getresponse().read()
        started = time.monotonic()
        ingestor.stop()
        assert time.monotonic() - started < 5
