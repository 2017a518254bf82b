"""`mutt-ctl doctor`: looks at everything MUTT depends on, and says what to do about each finding."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections import Counter
from pathlib import Path

import click

from mutt_appliance.cli.ctl_environment import environment_with_runtime_dir
from mutt_appliance.doctor.findings import Check, Finding, exit_code

COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "n/a": "bright_black"}
Results = list[tuple[Check, list[Finding]]]


@click.command(short_help="Check everything around MUTT, and say what to do.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@click.option(
    "--timeout",
    "timeout_secs",
    type=click.FloatRange(0.1, 60),
    default=5.0,
    show_default=True,
    help="Seconds that the checks, which run side by side, may take.",
)
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings. [default: $MUTT_ENV_FILE, /etc/mutt/mutt.env]",
)
@click.pass_context
def command(
    context: click.Context, as_json: bool, strict: bool, timeout_secs: float, env_file: Path | None
) -> None:
    """Check configuration, stores, ports, what is in front and behind, and this machine.

    Nothing is changed and no event is sent. Run it as root: other users cannot read everything. Ends
    with 0 when there is no error, else with 1.
    """
    from mutt_appliance.doctor.checks import CHECKS
    from mutt_appliance.doctor.patient import examine
    from mutt_appliance.doctor.running import run_checks

    patient = examine(environment_with_runtime_dir(context, os.environ), env_file)
    results = run_checks(CHECKS, patient, timeout_secs)
    click.echo(json.dumps(_document(results), indent=2) if as_json else _text(results))
    sys.exit(exit_code((finding for _, findings in results for finding in findings), strict=strict))


def _document(results: Results) -> dict[str, object]:
    return {
        "summary": _summary(results),
        "findings": [
            {"group": check.group, **dataclasses.asdict(finding)}
            for check, findings in results
            for finding in findings
        ],
    }


def _summary(results: Results) -> dict[str, int]:
    count = Counter(finding.status for _, findings in results for finding in findings)
    return {status: count[status] for status in ("ok", "warning", "error", "n/a")}


def _text(results: Results) -> str:
    lines: list[str] = []
    group = ""
    for check, findings in results:
        if check.group != group:
            group = check.group
            lines += ([""] if lines else []) + [click.style(group, bold=True)]
        for finding in findings:
            mark = click.style(f"{finding.status:<7}", fg=COLOURS[finding.status])
            lines.append(f"  {mark}  {finding.id:<28} {finding.seen}")
            if finding.advice and finding.status != "ok":
                lines.append(f"{'':11}-> {finding.advice}")
    summary = _summary(results)
    lines += ["", f"{summary['error']} errors, {summary['warning']} warnings, {summary['ok']} fine"]
    return "\n".join(lines)
