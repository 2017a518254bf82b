"""Every command of the runbook, in its order, on a running appliance with its own stores."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.appliance import REPOSITORY, Appliance
from tests.support.waiting import wait_until

pytestmark = pytest.mark.ha

PAGE = REPOSITORY / "docs" / "runbook.md"
PORTS = {
    "8080": "SERVER_PORT_INGESTOR",
    "8081": "METRICS_PORT_ALERTER",
    "8082": "HEALTH_PORT_ALERTER",
    "8083": "METRICS_PORT_MOOG",
    "8084": "HEALTH_PORT_MOOG",
    "8090": "SERVER_PORT_WEBUI",
}
RULE = """
rules:
  - match_string: LINK-3-UPDOWN
    match_type: contains
    prod_handling: Page_and_ticket
    dev_handling: Log_only
"""
EVENT = {"timestamp": "2026-11-24T12:00:00Z", "hostname": "core-1", "message": "%LINK-3-UPDOWN: down"}
# Tells that something is wrong, and so does the alert that had it read.
MAY_END_WITH_1 = ("mutt-ctl status",)
EACH_SECS = 60


def commands() -> list[str]:
    """Indented lines of the page."""
    return re.findall(r"^    (?=\S)(.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_command_of_the_runbook_works(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("mutt", "mutt_appliance"), ("mutt-ctl", "mutt_appliance.cli.ctl")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        program.chmod(0o755)
    with Appliance({"MOOG_MAX_RETRIES": "0", "MOOG_WEBHOOK_URL": "http://127.0.0.1:9/moog"}) as appliance:
        appliance.start_and_wait()
        appliance.wait_for_log("every process serves")
        env = {**appliance.env, "PATH": f"{programs}:{appliance.env['PATH']}"}
        rules = tmp_path / "rules.yaml"
        rules.write_text(RULE)
        subprocess.run(["mutt", "rules", "load", rules], env=env, check=True, capture_output=True)
        subprocess.run(["mutt-ctl", "reload"], env=env, check=True, capture_output=True)
        requests.post(appliance.url(), json=[EVENT, {}], headers={"X-API-KEY": appliance.api_key}, timeout=10)
        failed = 'mutt_moog_requests_total{reason="connection",status="fail"} 1.0'
        wait_until(
            lambda: failed in requests.get(appliance.url("/metrics", "METRICS_PORT_MOOG"), timeout=10).text,
            message="there is something to look at",
        )
        places = {
            "/run/mutt": appliance.env["MUTT_RUNTIME_DIR"],
            "/etc/mutt/secrets/mutt.secrets": appliance.env["MUTT_SECRETS_FILE"],
            **{f"127.0.0.1:{port}": f"127.0.0.1:{appliance.ports[name]}" for port, name in PORTS.items()},
        }
        said = run_all([replaced(command, places) for command in commands()], env, tmp_path)
    assert len(said) == len(commands()) > 40
    refused = {
        command: (code, output)
        for command, (code, output) in said.items()
        if code and not (code == 1 and command.startswith(MAY_END_WITH_1))
    }
    assert refused == {}
    # Not only without an error, but with what one looks for.
    assert [command for command, (_, output) in said.items() if output.strip() == "null"] == []
    assert any("connection" in output for command, (_, output) in said.items() if "dlq list moog" in command)
    assert any(
        "timestamp is missing" in output for command, (_, output) in said.items() if "dlq list" in command
    )
    assert any("mutt rules load" in output for command, (_, output) in said.items() if "/history?" in command)
    assert any('"burning"' in output for command, (_, output) in said.items() if "api /slo" in command)


def replaced(command: str, places: dict[str, str]) -> str:
    """The command for this appliance in the place of the one of the page."""
    for place, here in places.items():
        command = command.replace(place, here)
    return command


def run_all(every: list[str], env: dict[str, str], folder: Path) -> dict[str, tuple[int, str]]:
    """Run the commands in one shell, as somebody who types them; (exit code, what was said) of each."""
    codes = folder / "codes"
    script = "".join(
        f"{{ {command.partition('  #')[0]}\n}} >{folder}/said-{number} 2>&1; echo $? >>{codes}\n"
        for number, command in enumerate(every)
    )
    subprocess.run(["bash", "-c", script], env=env, cwd=REPOSITORY, check=True, timeout=EACH_SECS * 5)
    said = [(folder / f"said-{number}").read_text() for number in range(len(every))]
    numbers = [int(line) for line in codes.read_text().splitlines()]
    # The same command stands in several places of the page.
    return {
        f"{command} ({number})": (code, output)
        for number, (command, code, output) in enumerate(zip(every, numbers, said, strict=True))
    }
