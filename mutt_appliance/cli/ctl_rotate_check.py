"""`mutt-ctl rotate-check`: which values of the secrets there are, which are used, and whether the old ones may go."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mutt_appliance.cli.ctl_client import EXIT_FAILED, do

COLOURS = {True: "green", False: "yellow"}


@click.command(short_help="Show whether the old value of a secret may go.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option(
    "--quiet",
    "quiet_secs",
    type=click.FloatRange(0, 30 * 86400),
    default=3600.0,
    show_default=True,
    help="Seconds that nobody must have used an old API key before it counts as unused.",
)
@click.pass_obj
def command(runtime_dir: Path, as_json: bool, quiet_secs: float) -> None:
    """Show for each secret which of its values (current, next) are known and used, and whether the old one may go.

    Values are never shown. Exit code 0: no rotation is under way, or each may be ended; 1: an old value is, or
    may be, still in use, or the source of secrets does not answer.
    """
    from mutt_appliance.secrets.rotation import rotations

    answer = do(runtime_dir, "mutt.secrets")
    found = rotations(answer, quiet_secs)
    well = all(one.done for one in found) and answer["source"].get("ok", True)
    if as_json:
        document = {
            "ok": well,
            "source": answer["source"] or None,
            "secrets": [{**asdict(one), "name": one.name.upper()} for one in found],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for line in report(answer, found):
            click.echo(line)
    sys.exit(0 if well else EXIT_FAILED)


def report(answer: dict[str, Any], found: list[Any]) -> list[str]:
    """The answer in lines: the source, then each secret that is set."""
    lines = []
    source = answer["source"]
    if source:
        where = f"{source['kind']} {source['place']}"
        version = f", version {source['version']}" if source["version"] else ""
        lines.append(f"source: {where}{version}" + ("" if source["ok"] else f": {source['detail']}"))
    for one in found:
        if one.state == "not set":
            continue
        if one.state == "steady":
            lines.append(f"{one.name.upper():<20} one value{_of(one.current, answer['now'])}")
            continue
        mark = click.style("the old value may go" if one.done else "keep both", fg=COLOURS[one.done])
        lines.append(f"{one.name.upper():<20} {mark}: {one.advice}")
        lines += [f"{'':<20}   {which}{_of(use, answer['now'])}" for which, use in _both(one)]
    return lines


def _both(one: Any) -> list[tuple[str, Any]]:
    return [("current", one.current), ("next   ", one.next)]


def _of(use: Any, now: float) -> str:
    parts = []
    if use.requests:
        parts.append(f"{use.requests} requests")
    if use.last_used_at:
        parts.append(f"last {max(0, now - use.last_used_at):.0f} s ago")
    if use.processes:
        parts.append(f"in use by {', '.join(use.processes)}")
    return f": {', '.join(parts)}" if parts else ""
