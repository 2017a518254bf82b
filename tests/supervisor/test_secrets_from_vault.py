"""A supervisor of trivial roles whose secrets are in Vault."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mutt_appliance.cli.ctl import cli as ctl
from mutt_appliance.config.faults import EXIT_CONFIG
from mutt_appliance.control.client import do
from tests.supervisor.mini_appliance import EVERYBODY, Mini
from tests.supervisor.trivial_role import journal
from tests.support.vault import VaultStub, variables
from tests.support.waiting import wait_until

VALUES = {"INGEST_API_KEY": "ingest-1", "WEBUI_API_KEY": "webui-1", "MOOG_API_KEY": "moog-1"}


@pytest.fixture
def vault() -> Iterator[VaultStub]:
    with VaultStub() as stub:
        stub.put(VALUES)
        yield stub


@pytest.fixture
def mini(vault: VaultStub, tmp_path: Path) -> Iterator[Mini]:
    with Mini(
        None, **variables(vault, vault.access(), tmp_path), VAULT_RENEW_CHECK_INTERVAL="1"
    ) as appliance:
        yield appliance


def reloaded_with(mini: Mini, key: str) -> set[str]:
    return {
        line.split()[1]
        for line in journal(mini.data_dir)
        if line.startswith("reload ") and line.endswith(key)
    }


def test_a_new_version_reaches_every_process_without_a_restart_or_a_signal_of_an_operator(
    mini: Mini, vault: VaultStub
) -> None:
    before = mini.serve().children()
    vault.put({**VALUES, "INGEST_API_KEY": "ingest-2"})
    wait_until(lambda: reloaded_with(mini, "ingest-2") == EVERYBODY, 10, "every process has the new key")
    assert mini.children() == before
    assert not (mini.folder / "mutt.secrets").exists()
    # One that is started later has them from the beginning, and is not told again.
    os.kill(before["webui:0"], signal.SIGKILL)
    mini.wait_for_state("webui:0", "RUNNING", count=2)
    mini.signal(signal.SIGHUP)
    wait_until(lambda: mini.journal("reload").count("webui:0") == 2, 10)
    assert journal(mini.data_dir)[-1].endswith("ingest-2")


def test_a_reload_asks_vault_at_once_and_says_what_came_of_it(vault: VaultStub, tmp_path: Path) -> None:
    with Mini(None, **variables(vault, vault.access(), tmp_path)) as mini:
        mini.serve()
        chosen = ["--runtime-dir", mini.env["MUTT_RUNTIME_DIR"]]
        vault.put({**VALUES, "INGEST_API_KEY": "ingest-2"})
        answer = CliRunner().invoke(ctl, [*chosen, "reload"])
        assert (answer.exit_code, "secrets: renewed" in answer.output) == (0, True)
        wait_until(lambda: reloaded_with(mini, "ingest-2") == EVERYBODY, 5)
        vault.trouble = "sealed"
        answer = CliRunner().invoke(ctl, [*chosen, "reload"])
        assert answer.exit_code == 1
        assert "secrets were kept as they were" in answer.output
        assert "is sealed" in answer.output
        status = json.loads(CliRunner().invoke(ctl, [*chosen, "status", "--json"]).output)
        assert "secrets: Vault is sealed; version 2 of the secrets stays in use" in status["status"]
        health = json.loads((Path(mini.env["MUTT_RUNTIME_DIR"]) / "health" / "secrets-0.json").read_text())
        assert (health["status"], health["kind"], health["version"]) == ("degraded", "vault", 2)


def test_an_appliance_that_restarts_in_place_does_not_use_its_wrapping_token_twice(
    vault: VaultStub, tmp_path: Path
) -> None:
    given = variables(vault, vault.access(), tmp_path, vault.wrapped_secret_id())
    with Mini(None, **given, VAULT_SECRET_ID_WRAPPED="true") as mini:
        mini.serve()
        # `reload` of supervisord's protocol: drain, and start again with the configuration as it is then.
        do(Path(mini.env["MUTT_RUNTIME_DIR"]), "supervisor.restart")
        mini.wait_for_log("every process serves", count=2)
        assert vault.count("POST sys/wrapping/unwrap 200") == 1
        assert vault.count("POST auth/approle/login 200") == 1
        # Another start of the program is another matter.
        mini.terminate()
        mini.start()
        assert mini.wait(20) == EXIT_CONFIG
        assert "somebody else may have the secret id" in mini.log_tail()


def test_a_fault_of_the_configuration_is_exit_code_78_and_a_vault_that_is_away_is_1(
    vault: VaultStub, tmp_path: Path
) -> None:
    given = variables(vault, vault.access(), tmp_path, "a-secret-id-that-nobody-gave")
    with Mini(None, **given) as mini:
        mini.start()
        assert mini.wait(20) == EXIT_CONFIG
        assert "login by AppRole refused" in mini.log_tail()
        assert "a-secret-id-that-nobody-gave" not in mini.log_path.read_text()
    vault.stop()
    with Mini(None, **variables(vault, vault.access(), tmp_path), START_TIMEOUT="1") as mini:
        mini.start()
        assert mini.wait(20) == 1
        assert "cannot be reached" in mini.log_tail()
    vault.start()
