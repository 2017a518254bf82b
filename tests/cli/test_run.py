"""`mutt run`, `mutt config` and `mutt-ctl` as a user calls them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mutt_appliance import __version__
from mutt_appliance.cli.ctl import cli as ctl
from mutt_appliance.cli.ctl_client import EXIT_NOT_RUNNING
from mutt_appliance.cli.main import COMMANDS, cli
from mutt_appliance.config.faults import EXIT_CONFIG
from mutt_appliance.config.reference import configuration_page
from tests.supervisor.mini_appliance import Mini
from tests.supervisor.trivial_role import journal
from tests.support.appliance import Appliance
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty.env").touch()
    monkeypatch.setenv("MUTT_ENV_FILE", str(tmp_path / "empty.env"))
    monkeypatch.delenv("MUTT_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("MOOG_WEBHOOK_URL", raising=False)


def test_every_command_of_the_table_can_be_called() -> None:
    for name in COMMANDS:
        answer = CliRunner().invoke(cli, [name, "--help"])
        assert answer.exit_code == 0, (name, answer.output)


def test_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(cli, ["version"]).output == f"mutt {__version__}\n"


def test_a_command_imports_only_its_own_modules() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from mutt_appliance.cli.main import cli\n"
        "CliRunner().invoke(cli, ['version'])\n"
        "print([m for m in ('aiohttp', 'redis', 'psycopg2', 'pydantic') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_config_check_tells_what_is_not_protected() -> None:
    answer = CliRunner().invoke(
        cli, ["config", "check"], env={"MOOG_WEBHOOK_URL": "http://moog.example.net/x"}
    )
    assert answer.exit_code == 0
    assert "warning: MOOG_WEBHOOK_URL is http://: key and alerts go unencrypted" in answer.stderr
    assert "the configuration is valid" in answer.stdout


def test_config_check_names_every_fault_and_exits_with_78() -> None:
    answer = CliRunner().invoke(cli, ["config", "check"], env={"MOOG_RATE_LIMIT": "abc", "REDIS_PORT": "0"})
    assert answer.exit_code == EXIT_CONFIG
    assert "MOOG_RATE_LIMIT=abc: must be a whole number of requests, 1 or more" in answer.output
    assert "REDIS_PORT=0: must be a whole number, 1 to 65535" in answer.output
    assert "MOOG_WEBHOOK_URL: is not set" in answer.output


def test_config_show_is_what_the_env_file_says(tmp_path: Path) -> None:
    file = tmp_path / "mutt.env"
    file.write_text("MOOG_WEBHOOK_URL=http://moog/\nALERTER_WORKERS=3\n")
    answer = CliRunner().invoke(cli, ["--env-file", str(file), "config", "show"])
    assert answer.exit_code == 0
    assert "ALERTER_WORKERS=3    # default: 1" in answer.output


def test_config_docs_prints_the_reference_page() -> None:
    assert CliRunner().invoke(cli, ["config", "docs"]).output == configuration_page()


def test_run_refuses_a_secrets_file_that_others_can_read() -> None:
    with Appliance() as appliance:
        secrets = Path(appliance.env["MUTT_SECRETS_FILE"])
        secrets.write_text("DB_PASS=hunter2\n")
        secrets.chmod(0o644)
        appliance.start()
        assert appliance.wait(20) == EXIT_CONFIG
        assert "mode 0644 lets others read it: chmod 0600" in appliance.log_tail()
        assert "hunter2" not in appliance.log_tail()


def test_ctl_reloads_and_stops_the_appliance_that_its_folder_names() -> None:
    with Mini() as mini:
        mini.serve()
        chosen = ["--runtime-dir", mini.env["MUTT_RUNTIME_DIR"]]
        assert CliRunner().invoke(ctl, [*chosen, "pid"]).output == f"{mini.pid}\n"
        assert CliRunner().invoke(ctl, ["pid"], env={"MUTT_RUNTIME_DIR": chosen[1]}).output == f"{mini.pid}\n"
        assert CliRunner().invoke(ctl, [*chosen, "reload"]).exit_code == 0
        wait_until(lambda: any(line.startswith("reload") for line in journal(mini.data_dir)), 10)
        answer = CliRunner().invoke(ctl, [*chosen, "shutdown"])
        assert (answer.exit_code, answer.output) == (0, "stopped\n")
        assert mini.wait(5) == 0
        answer = CliRunner().invoke(ctl, [*chosen, "shutdown"])
        assert answer.exit_code == EXIT_NOT_RUNNING
        assert f"error: no appliance runs on {chosen[1]}" in answer.output


def test_ctl_does_not_trust_the_pid_of_an_appliance_that_crashed(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "mutt.pid").write_text(f"{bystander.pid}\n")
        answer = CliRunner().invoke(ctl, ["--runtime-dir", str(tmp_path), "shutdown"])
        assert answer.exit_code == EXIT_NOT_RUNNING
        assert bystander.poll() is None
    finally:
        os.kill(bystander.pid, signal.SIGKILL)
        bystander.wait()
