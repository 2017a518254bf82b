"""/dev-hosts/bulk, /teams/bulk and their exports: many hosts at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from pydantic import Field

from mutt_appliance.store.csv_tables import TableError, write_table
from mutt_appliance.store.dev_hosts import all_dev_hosts
from mutt_appliance.store.host_lists import (
    DEV_HOST_COLUMNS,
    TEAM_COLUMNS,
    Entry,
    ListPlan,
    Load,
    load_dev_hosts,
    load_teams,
    read_list,
)
from mutt_appliance.store.teams import all_teams
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Strict
from mutt_appliance.webui.api.rules_files import FAULTS_MOST, MEDIA
from mutt_appliance.webui.operations import BODY_MAX_BYTES, Call, Download, Reply, operation
from mutt_appliance.webui.problems import FieldFault, invalid

CSV = MEDIA["csv"]


class BulkIn(Strict):
    """A list, a host on each line."""

    text: Annotated[str, Field(max_length=BODY_MAX_BYTES, description="CSV, with or without a head line")]
    dry_run: bool = Field(True, description="Only tell what would be changed")


class BulkEntry(Strict):
    """A host, and its note or team."""

    hostname: str
    value: str | None


class BulkChange(BulkEntry):
    """A host that has another value by now."""

    before: str | None


class BulkPlan(Strict):
    """What a list changes; `applied`: it has been done."""

    applied: bool
    added: list[BulkEntry]
    changed: list[BulkChange]
    unchanged: int


@operation(
    "POST",
    "/dev-hosts/bulk",
    tag="Development hosts",
    role=Role.OPERATOR,
    changes="rules",
    body=BulkIn,
    answer=BulkPlan,
)
async def add_dev_hosts(call: Call) -> Reply:
    """Add many development hosts (hostname,note), all or none; without dry_run=false only tell what would change."""
    return await _load(call, DEV_HOST_COLUMNS, load_dev_hosts, needs_value=False)


@operation(
    "POST", "/teams/bulk", tag="Teams", role=Role.OPERATOR, changes="rules", body=BulkIn, answer=BulkPlan
)
async def set_teams(call: Call) -> Reply:
    """Set the teams of many hosts (hostname,team), all or none; without dry_run=false only tell what would change."""
    return await _load(call, TEAM_COLUMNS, load_teams, needs_value=True)


@operation("GET", "/dev-hosts/export", tag="Development hosts", role=Role.VIEWER, media=(CSV,))
async def export_dev_hosts(call: Call) -> Download:
    """Export the development hosts as CSV."""
    rows = [(host.hostname, host.note) for host in await call.stores.run(all_dev_hosts)]
    return Download("mutt-dev-hosts.csv", CSV, _table(DEV_HOST_COLUMNS, rows))


@operation("GET", "/teams/export", tag="Teams", role=Role.VIEWER, media=(CSV,))
async def export_teams(call: Call) -> Download:
    """Export the teams as CSV."""
    rows = [(team.hostname, team.team_assignment) for team in await call.stores.run(all_teams)]
    return Download("mutt-teams.csv", CSV, _table(TEAM_COLUMNS, rows))


OPERATIONS = (add_dev_hosts, set_teams, export_dev_hosts, export_teams)


async def _load(call: Call, columns: tuple[str, str], load: Load, *, needs_value: bool) -> Reply:
    body: BulkIn = call.body
    try:
        entries = read_list(body.text, columns, needs_value=needs_value)
    except TableError as error:
        raise invalid(
            FieldFault(field="body.text", message=f"line {line}: {problem}")
            for line, problem in error.faults[:FAULTS_MOST]
        ) from error
    plan: ListPlan = await call.stores.run(load, entries, call.person.name, dry_run=body.dry_run)
    return Reply(
        {
            "applied": not body.dry_run,
            "added": [_entry(entry) for entry in plan.added],
            "changed": [{**_entry(entry), "before": before} for entry, before in plan.changed],
            "unchanged": plan.unchanged,
        }
    )


def _entry(entry: Entry) -> dict[str, Any]:
    return {"hostname": entry.hostname, "value": entry.value}


async def _table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> AsyncIterator[bytes]:
    yield write_table(columns, rows).encode()
