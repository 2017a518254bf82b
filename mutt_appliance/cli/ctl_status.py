"""`mutt-ctl status` and `mutt-ctl pid`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from mutt_appliance.cli.ctl_client import EXIT_FAILED, NotRunningError, do

# "program is not running" of the status action in the Linux Standard Base Core Specification, 22.2.
EXIT_STATUS_NOT_RUNNING = 3
COLOURS = {
    "RUNNING": "green",
    "EXITED": "green",
    "STARTING": "yellow",
    "STOPPING": "yellow",
    "STOPPED": "yellow",
    "BACKOFF": "red",
    "FATAL": "bold red",
}
HEADINGS = ("PROCESS", "STATE", "PID", "UPTIME", "RESTARTS", "REMARKS")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document with everything that is known.")
@click.pass_obj
def status(runtime_dir: Path, as_json: bool) -> None:
    """Show what runs.

    Exit code 0: every process serves and is well. 1: something is wrong. 3: no appliance runs.
    """
    try:
        document = do(runtime_dir, "mutt.status")
    except NotRunningError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "state": "STOPPED", "processes": []}, indent=2))
        error.show()
        sys.exit(EXIT_STATUS_NOT_RUNNING)
    document["ok"] = all_well(document)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        head = f"mutt {document['version']}, process {document['pid']}, up {age(document['uptime_secs'])}"
        print_table(f"{head}: {document['status']}", [row(process) for process in document["processes"]])
    sys.exit(0 if document["ok"] else EXIT_FAILED)


@click.command(short_help="Print the process id of the supervisor, or of a process.")
@click.argument("name", required=False)
@click.pass_obj
def pid(runtime_dir: Path, name: str | None) -> None:
    """Print the process id of the main process, or of the process NAME (alerter:0)."""
    if name is None:
        click.echo(str(do(runtime_dir, "mutt.status")["pid"]))
        return
    number = do(runtime_dir, "supervisor.getProcessInfo", name)["pid"]
    if not number:
        raise NotRunningError(f"{name}: does not run")
    click.echo(str(number))


def all_well(document: dict[str, Any]) -> bool:
    """True when nothing asks for an operator."""
    return document["state"] == "RUNNING" and all(
        process["retiring"] or (process["serves"] and not process["trouble"])
        for process in document["processes"]
    )


def row(process: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    return (
        process["name"],
        process["state"],
        str(process["pid"] or "-"),
        age(process["uptime_secs"]) if process["pid"] else "-",
        str(process["restarts"]),
        remark(process),
    )


def remark(process: dict[str, Any]) -> str:
    """What is to be said of a process, nothing for one that is well."""
    if process["held"]:
        return f"stopped by an operator: mutt-ctl start {process['name']}"
    if process["retiring"]:
        return "leaves the pool"
    if process["trouble"]:
        return str(process["trouble"])
    return "" if process["serves"] else str(process["reason"])


def age(seconds: float) -> str:
    """`3d 4h`, `4h 5m`, `5m 6s`, `6s`."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def print_table(title: str, rows: list[tuple[str, ...]]) -> None:
    """A table in colour on a terminal, plain aligned columns elsewhere."""
    if not sys.stdout.isatty():
        click.echo(title)
        widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
        for cells in (HEADINGS, *rows):
            click.echo(
                "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            )
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, title=Text(title), title_justify="left", header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("PID", "RESTARTS") else "left")
    for name, state, *others in rows:
        table.add_row(Text(name), Text(state, style=COLOURS.get(state, "")), *map(Text, others))
    Console().print(table)
