"""A whole appliance with TLS on its doors: its own commands, rsyslog, and certificates renewed under load."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import cli as ctl
from mutt_appliance.config.faults import EXIT_CONFIG
from tests.conftest import Stores
from tests.support.appliance import Appliance
from tests.support.certificates import Authority, Issued
from tests.support.line import MATCHED, Line, event, new_id, running_line
from tests.support.rsyslog import Rsyslog, private_omprog_conf
from tests.support.tls_client import ask, trusting
from tests.support.waiting import wait_until

MESSAGES = 300
RENEWALS = 5


@dataclass
class Encrypted:
    """A line with TLS, who issues its certificates, and what its doors show."""

    line: Line
    authority: Authority
    ingest: Issued
    webui: Issued

    def ctl(self, *arguments: str, **env: str) -> Result:
        """`mutt-ctl` as root on the same machine."""
        return CliRunner().invoke(ctl, arguments, env={**self.line.appliance.env, **env})

    def findings(self) -> dict[str, dict[str, Any]]:
        """What the doctor finds, by id."""
        result = self.ctl("doctor", "--json", "--timeout", "20")
        return {finding["id"]: finding for finding in json.loads(result.stdout)["findings"]}

    def renew(self) -> None:
        """New certificates in the old places; nobody is told."""
        self.ingest.replace_with(self.authority.issue("next-ingest", "127.0.0.1", "mutt.example.net"))
        self.webui.replace_with(self.authority.issue("next-webui", "127.0.0.1", "*.example.net"))


@pytest.fixture(scope="module")
def encrypted(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    # The name comes first: nobody calls the appliance by it on its own machine, and it must work there.
    ingest = authority.issue("ingest", "mutt.example.net", "127.0.0.1", valid_days=90)
    webui = authority.issue("webui", "*.example.net", "127.0.0.1", valid_days=90)
    env = {
        "INGEST_TLS_CERT_PATH": str(ingest.cert),
        "INGEST_TLS_KEY_PATH": str(ingest.key),
        "INGEST_TLS_CLIENT_CA_PATH": str(authority.ca),
        "INGEST_TLS_CLIENT_AUTH": "optional",
        "WEBUI_TLS_CERT_PATH": str(webui.cert),
        "WEBUI_TLS_KEY_PATH": str(webui.key),
        "INGESTOR_WORKERS": "2",
    }
    with running_line(stores, ca=authority.ca, **env) as line:
        yield Encrypted(line, authority, ingest, webui)


def test_an_event_goes_its_way(encrypted: Encrypted) -> None:
    encrypted.line.good_event_passes()


def test_mutt_ctl_send_goes_through_the_door_without_being_told_whom_to_trust(encrypted: Encrypted) -> None:
    result = encrypted.ctl("send", "--message", MATCHED, "--json")
    assert result.exit_code == 0, result.output
    (sent,) = json.loads(result.stdout)["events"]
    assert [step["stage"] for step in sent["steps"]] == ["accepted", "audited", "delivered"]


def test_the_doctor_finds_the_doors_well(encrypted: Encrypted) -> None:
    found = encrypted.findings()
    for identity in (
        "ports.server_port_ingestor",
        "ports.server_port_webui",
        "tls.server_port_ingestor",
        "tls.server_port_webui",
        "certificates.ingest_tls_key_path",
        "certificates.webui_tls_cert_path",
        "protection.network",
    ):
        assert found[identity]["status"] == "ok", found[identity]


def test_a_renewal_is_in_force_after_a_reload_and_the_doctor_knows_before(encrypted: Encrypted) -> None:
    encrypted.renew()
    found = encrypted.findings()["tls.server_port_ingestor"]
    assert found["status"] == "warning"
    assert "another certificate" in found["seen"]
    result = encrypted.ctl("reload")
    assert result.exit_code == 0, result.output
    lines = dict(line.split(": ", 1) for line in result.output.splitlines())
    assert {"alerter:0", "ingestor:0", "ingestor:1", "webui:0"} <= set(lines)
    assert lines["ingestor:1"].startswith("certificates: ingest until ")
    assert "another certificate" not in encrypted.findings()["tls.server_port_ingestor"]["seen"]


def test_a_renewal_that_cannot_be_used_is_told_by_reload_and_changes_nothing(encrypted: Encrypted) -> None:
    key = encrypted.ingest.key.read_bytes()
    encrypted.ingest.key.write_bytes(encrypted.authority.issue("other", "127.0.0.1").key.read_bytes())
    result = encrypted.ctl("reload")
    assert result.exit_code == 1
    assert f"INGEST_TLS_KEY_PATH={encrypted.ingest.key}: is not the key of" in result.output
    assert encrypted.findings()["certificates.ingest_tls_key_path"]["status"] == "error"
    encrypted.line.good_event_passes()
    encrypted.ingest.key.write_bytes(key)
    assert encrypted.ctl("reload").exit_code == 0


def test_no_event_is_lost_and_no_request_fails_while_certificates_are_renewed(encrypted: Encrypted) -> None:
    port = encrypted.line.appliance.ports["SERVER_PORT_INGESTOR"]
    context = trusting(encrypted.authority.ca)
    headers = {"X-API-KEY": encrypted.line.appliance.api_key}
    stopping = threading.Event()
    accepted: list[str] = []
    failures: list[object] = []

    def send() -> None:
        while not stopping.is_set():
            event_id = new_id("renewal")
            body = json.dumps(event(event_id=event_id)).encode()
            try:
                said = ask(port, context, "POST", "/ingest", body, headers)
            except OSError as error:
                failures.append(error)
            else:
                (accepted if said.status == 200 else failures).append(event_id)

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(RENEWALS):
            before = len(accepted)
            encrypted.renew()
            assert encrypted.ctl("reload").exit_code == 0
            wait_until(lambda least=before + 20: len(accepted) >= least, 20, "events go on")  # type: ignore[misc]
    finally:
        stopping.set()
        for sender in senders:
            sender.join(20)
    assert failures == []
    sql = "SELECT count(*), count(DISTINCT event_id) FROM event_audit_log WHERE event_id LIKE 'renewal-%'"
    line = encrypted.line
    wanted = [(len(accepted), len(accepted))]
    wait_until(lambda: line.postgres.execute(sql, line.database) == wanted, 30, "each is audited once")


def test_rsyslog_hands_its_messages_over_with_a_certificate_of_its_own(
    encrypted: Encrypted, short_tmp_path: Path
) -> None:
    shown = encrypted.authority.issue("relay", "relay.example.net")
    appliance = encrypted.line.appliance
    rules = private_omprog_conf(
        short_tmp_path / "forward.log",
        *("--url", appliance.url(), "--secrets-file", appliance.env["MUTT_SECRETS_FILE"]),
        *("--ca-file", str(encrypted.authority.ca)),
        *("--client-cert", str(shown.cert), "--client-key", str(shown.key)),
    )
    daemon = Rsyslog(short_tmp_path, rules).start()
    try:
        daemon.send_tcp(
            [f"<131>Nov 24 01:02:03 core-1 app[1]: {MATCHED} over TLS {n}" for n in range(MESSAGES)]
        )
        sql = "SELECT count(*), count(DISTINCT event_id) FROM event_audit_log WHERE message LIKE '%over TLS%'"
        line = encrypted.line
        wait_until(
            lambda: line.postgres.execute(sql, line.database) == [(MESSAGES, MESSAGES)],
            30,
            "all are audited",
        )
    finally:
        daemon.close()


def test_an_appliance_whose_certificates_cannot_be_used_does_not_start(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("door", "127.0.0.1")
    env = {
        "INGEST_TLS_CERT_PATH": str(issued.cert),
        "INGEST_TLS_KEY_PATH": str(tmp_path / "none.key"),
        "WEBUI_TLS_CERT_PATH": str(issued.key),
        "WEBUI_TLS_KEY_PATH": str(issued.key),
    }
    with Appliance(env) as appliance:
        started = time.monotonic()
        assert appliance.start().wait(30) == EXIT_CONFIG
        assert time.monotonic() - started < 30
        said = appliance.log_tail()
    assert f"error: INGEST_TLS_KEY_PATH={tmp_path}/none.key: cannot be read" in said
    assert f"error: WEBUI_TLS_CERT_PATH={issued.key}: holds no certificate" in said
