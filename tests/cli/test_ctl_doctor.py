"""mutt-ctl doctor against real servers, real files, and an appliance that is down."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl import cli
from mutt_appliance.doctor.feeders import find_hook
from mutt_appliance.doctor.findings import Check, Finding
from mutt_appliance.doctor.outside import check_moogsoft
from mutt_appliance.doctor.patient import Patient, examine
from mutt_appliance.doctor.running import run_checks
from tests.conftest import MakeSettings, Stores
from tests.support.certificates import Authority
from tests.support.line import Line, running_line
from tests.support.vault import VaultStub, variables
from tests.support.waiting import free_port

STATUSES = {"ok", "warning", "error", "n/a"}


@pytest.fixture(scope="module")
def line(stores: Stores) -> Iterator[Line]:
    with running_line(stores) as running:
        yield running


def doctor(env: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments], env=dict(env))


def by_id(result: Result) -> dict[str, dict[str, Any]]:
    return {finding["id"]: finding for finding in json.loads(result.stdout)["findings"]}


def test_a_running_appliance_is_well(line: Line) -> None:
    result = doctor(line.appliance.env, "--json")
    found = by_id(result)
    for identity in (
        "config.valid",
        "secrets.file",
        "secrets.keys",
        "appliance.runs",
        "appliance.control",
        "ports.server_port_ingestor",
        "ports.server_port_webui",
        "redis.reachable",
        "redis.version",
        "redis.eviction",
        "redis.memory",
        "redis.role",
        "database.reachable",
        "database.migrations",
        "database.partitions",
        "moogsoft.port",
    ):
        assert found[identity]["status"] == "ok", found[identity]


def test_every_finding_has_a_group_a_status_and_a_way_out(line: Line) -> None:
    result = doctor(line.appliance.env, "--json")
    for finding in json.loads(result.stdout)["findings"]:
        assert set(finding) == {"group", "id", "status", "seen", "advice"}
        assert finding["status"] in STATUSES
        assert finding["advice"] or finding["status"] in ("ok", "n/a"), finding


def test_no_secret_is_printed(line: Line) -> None:
    output = doctor(line.appliance.env).output + doctor(line.appliance.env, "--json").output
    for name in ("INGEST_API_KEY", "MOOG_API_KEY", "WEBUI_API_KEY"):
        assert line.appliance.secret(name) not in output


def test_text_in_a_pipe_has_no_colour_and_ends_with_a_count(line: Line) -> None:
    result = doctor(line.appliance.env)
    assert "\x1b" not in result.stdout
    assert result.stdout.splitlines()[-1].split()[1] == "errors,"


@pytest.fixture
def down(tmp_path: Path) -> dict[str, str]:
    """Environment of an appliance that was never started."""
    env_file = tmp_path / "mutt.env"
    env_file.write_text("FORWARDER_WORKERS=0\n")
    ports = ("SERVER_PORT_INGESTOR", "METRICS_PORT_ALERTER", "HEALTH_PORT_ALERTER", "SERVER_PORT_WEBUI")
    return {
        "PATH": os.environ["PATH"],
        "MUTT_ENV_FILE": str(env_file),
        "MUTT_RUNTIME_DIR": str(tmp_path / "run"),
        "MUTT_DATA_DIR": str(tmp_path / "data"),
        "MUTT_SECRETS_FILE": str(tmp_path / "mutt.secrets"),
        "BIND_ADDRESS": "127.0.0.1",
        **{name: str(free_port()) for name in ports},
    }


def test_it_works_while_the_appliance_is_down(down: dict[str, str]) -> None:
    found = by_id(doctor(down, "--json"))
    assert found["appliance.runs"]["status"] == "warning"
    assert found["redis.reachable"]["status"] == found["database.reachable"]["status"] == "n/a"
    assert found["ports.server_port_ingestor"]["seen"].endswith("is free")
    assert found["moogsoft.webhook"]["status"] == "n/a"


def test_nothing_is_made(down: dict[str, str], tmp_path: Path) -> None:
    doctor(down)
    assert [path.name for path in tmp_path.iterdir()] == ["mutt.env"]


def test_a_port_of_another_program_is_an_error_that_names_the_way_to_find_it(down: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = doctor({**down, "SERVER_PORT_INGESTOR": str(port)}, "--json")
    finding = by_id(result)["ports.server_port_ingestor"]
    assert result.exit_code == 1
    assert finding["status"] == "error"
    assert f"ss -ltnp 'sport = :{port}'" in finding["advice"]


def test_every_fault_of_the_configuration_is_told_and_the_rest_is_still_looked_at(
    down: dict[str, str],
) -> None:
    bad = {"ALERTER_WORKERS": "many", "MOOG_RATE_LIMIT": "-1", "MUTT_RUNTIME_DIRR": "/x"}
    result = doctor({**down, **bad}, "--json")
    findings = json.loads(result.stdout)["findings"]
    faults = [finding["seen"] for finding in findings if finding["id"] == "config.fault"]
    assert [fault.partition("=")[0] for fault in faults] == ["ALERTER_WORKERS", "MOOG_RATE_LIMIT"]
    (unknown,) = [finding for finding in findings if finding["id"] == "config.unknown"]
    assert "did you mean MUTT_RUNTIME_DIR?" in unknown["seen"]
    assert by_id(result)["ports.server_port_ingestor"]["status"] == "ok"


def test_a_secrets_file_that_others_can_read_is_an_error(down: dict[str, str]) -> None:
    path = Path(down["MUTT_SECRETS_FILE"])
    path.write_text("INGEST_API_KEY=visible-key-of-a-test\n")
    path.chmod(0o644)
    result = doctor(down, "--json")
    assert by_id(result)["secrets.file"]["advice"] == f"chmod 0600 {path}"
    assert "visible-key-of-a-test" not in result.output


def test_vault_is_asked_for_its_health_and_the_login_is_tried(down: dict[str, str], tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    with VaultStub(certificate=ours.issue("vault", "127.0.0.1")) as vault:
        vault.put({"INGEST_API_KEY": "planted-in-vault", "WEBUI_API_KEY": "w"})
        given = {**down, **variables(vault, vault.access(), tmp_path), "VAULT_CA_CERT_PATH": str(ours.ca)}
        result = doctor(given, "--json")
        found = by_id(result)
        names = ("vault.health", "secrets.secret_id", "secrets.login", "secrets.keys")
        assert {name: found[name]["status"] for name in names} == dict.fromkeys(names, "ok")
        assert "planted-in-vault" not in result.output
        found = by_id(doctor({**given, "VAULT_CA_CERT_PATH": ""}, "--json"))
        assert found["vault.health"]["status"] == found["secrets.login"]["status"] == "error"
        vault.revoke_secret_ids()
        assert "refused" in by_id(doctor(given, "--json"))["secrets.login"]["seen"]


def test_a_wrapping_token_is_not_used_up_by_looking(down: dict[str, str], tmp_path: Path) -> None:
    with VaultStub() as vault:
        vault.put({"INGEST_API_KEY": "i", "WEBUI_API_KEY": "w"})
        given = variables(vault, vault.access(), tmp_path, vault.wrapped_secret_id())
        found = by_id(doctor({**down, **given, "VAULT_SECRET_ID_WRAPPED": "true"}, "--json"))
        assert (found["vault.health"]["status"], found["secrets.login"]["status"]) == ("ok", "n/a")
        assert vault.count("POST sys/wrapping/unwrap 200") == 0
        Path(given["VAULT_SECRET_ID_FILE"]).chmod(0o644)
        assert by_id(doctor({**down, **given}, "--json"))["secrets.secret_id"]["status"] == "error"


def test_credentials_of_systemd_are_looked_at(down: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "INGEST_API_KEY").write_text("i")
    found = by_id(doctor({**down, "CREDENTIALS_DIRECTORY": str(tmp_path)}, "--json"))
    assert found["secrets.credentials"]["status"] == "ok"
    assert "no WEBUI_API_KEY" in found["secrets.keys"]["seen"]


def test_stores_that_are_away_are_errors_in_words(down: dict[str, str]) -> None:
    away = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "9", "REDIS_TLS_ENABLED": "false", "DB_PORT": "9"}
    result = doctor({**down, **away, "DB_HOST": "127.0.0.1", "DB_TLS_ENABLED": "false"}, "--json")
    found = by_id(result)
    assert found["redis.reachable"]["status"] == found["database.reachable"]["status"] == "error"
    assert "REDIS_HOST" in found["redis.reachable"]["advice"]
    assert "DB_HOST" in found["database.reachable"]["advice"]


def test_a_certificate_file_that_is_missing_is_told(down: dict[str, str], tmp_path: Path) -> None:
    away = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "9", "REDIS_CA_CERT_PATH": str(tmp_path / "none.pem")}
    finding = by_id(doctor({**down, **away}, "--json"))["certificates.redis_ca_cert_path"]
    assert finding["status"] == "error"
    assert "No such file" in finding["seen"]


def test_a_check_that_crashes_or_hangs_is_a_finding(make_settings: MakeSettings) -> None:
    released = threading.Event()

    def crashes(_: Patient) -> list[Finding]:
        raise RuntimeError("as the test wants")

    def hangs(_: Patient) -> list[Finding]:
        released.wait(60)
        return []

    started = time.monotonic()
    results = run_checks(
        [
            Check("a", "A", crashes),
            Check("b", "A", hangs),
            Check("c", "A", lambda _: [Finding("c", "ok", "")]),
        ],
        Patient(make_settings()),
        timeout_secs=0.5,
    )
    released.set()
    assert time.monotonic() - started < 10
    (crashed,), (hung,), (fine,) = (findings for _, findings in results)
    assert (crashed.id, crashed.status) == ("a", "error")
    assert "RuntimeError: as the test wants" in crashed.seen
    assert (hung.id, hung.status) == ("b.timeout", "warning")
    assert fine.id == "c"


def test_a_webhook_that_speaks_no_tls_is_told(make_settings: MakeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/moog"
        findings = {f.id: f for f in check_moogsoft(Patient(make_settings(moog_webhook_url=url)))}
        thread.join()
    assert findings["moogsoft.port"].status == "ok"
    assert findings["moogsoft.tls"].status == "error"


def test_our_output_is_found_in_rsyslogs_folder(tmp_path: Path) -> None:
    folder = tmp_path / "rsyslog.d"
    folder.mkdir()
    (folder / "50-default.conf").write_text('# action(type="omhttp" restpath="ingest")\n*.* /var/log/all\n')
    assert find_hook((tmp_path / "rsyslog.conf", folder)) is None
    (folder / "60-mutt.conf").write_text('action(type="omhttp" restpath="ingest" serverport="8514")\n')
    hook = find_hook((tmp_path / "rsyslog.conf", folder))
    assert hook is not None
    assert (hook.path.name, hook.module, hook.option("serverport")) == ("60-mutt.conf", "omhttp", "8514")


def test_an_env_file_that_is_not_there_is_a_fault_and_no_traceback(tmp_path: Path) -> None:
    patient = examine({}, tmp_path / "none.env")
    assert "none.env" in patient.faults[0]
