"""`mutt-ctl reload`: have configuration, secrets and rules read again, and say what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mutt_appliance.cli.ctl_client import EXIT_FAILED, do
from mutt_appliance.cli.ctl_progress import progress

WAIT_SECS = 70.0


@click.command(short_help="Have secrets, rules and certificates read again.")
@click.pass_obj
def command(runtime_dir: Path) -> None:
    """Have secrets, rules and certificates read again, and wait until every process has done so.

    Prints the number of rules of each alerter with those that were left out, and how long the certificates
    of each door are valid. Exit code 1: a process kept its old rules or certificates, or the configuration
    cannot be used.
    """
    with progress("waiting for the processes to read them"):
        answer = do(runtime_dir, "mutt.reload", timeout_secs=WAIT_SECS)
    for line in report(answer):
        click.echo(line)
    if answer["error"]:
        click.echo(f"error: configuration or secrets were kept as they were: {answer['error']}", err=True)
    sys.exit(0 if answer["ok"] else EXIT_FAILED)


def report(answer: dict[str, Any]) -> list[str]:
    """What a reload gave, in lines; a fault that several processes found is told once."""
    lines = []
    faults: list[str] = []
    for process in answer["processes"]:
        if process["ok"]:
            left_out = f", {process['rule_errors']} left out" if process["rule_errors"] else ""
            told = process["told"] or f"{process['rules']} rules in force{left_out}"
            lines.append(f"{process['name']}: {told}")
        else:
            lines.append(f"{process['name']}: FAILED: {process['error']}")
        faults += process["faults"]
    lines += [f"  left out: {fault}" for fault in dict.fromkeys(faults)]
    if answer["secrets_changed"]:
        lines.append("secrets: renewed")
    if answer["changed_settings"]:
        names = ", ".join(answer["changed_settings"])
        lines.append(f"settings changed, in force after a restart (systemctl restart mutt): {names}")
    return lines or ["nothing to reload: no alerter runs"]
