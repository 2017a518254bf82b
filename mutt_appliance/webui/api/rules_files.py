"""/rules/export and /rules/import: all rules as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from psycopg2.extensions import connection as Connection  # noqa: N812
from pydantic import Field

from mutt_appliance.store.csv_tables import read_rules, write_rules
from mutt_appliance.store.rule_files import RuleFilesError, RuleSpec, parse_rule_files, render_rules
from mutt_appliance.store.rule_loading import RulePlan, load_rules, plan_load, stored_rules
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Strict
from mutt_appliance.webui.operations import BODY_MAX_BYTES, Call, Download, Reply, operation
from mutt_appliance.webui.problems import FieldFault, invalid

TAG = "Rules"
Format = Literal["yaml", "csv"]
MEDIA = {"yaml": "application/yaml", "csv": "text/csv; charset=utf-8"}
FAULTS_MOST = 200


class ExportQuery(Strict):
    """Which form."""

    format: Format = "yaml"


class ImportIn(Strict):
    """A file of rules."""

    format: Format = "yaml"
    text: Annotated[str, Field(max_length=BODY_MAX_BYTES)]
    mode: Literal["merge", "replace"] = Field(
        "merge", description="replace: rules that are not in the file are deleted"
    )
    dry_run: bool = Field(True, description="Only tell what would be changed")


class RuleFileEntry(Strict):
    """A rule as files have it."""

    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    match_type: str
    priority: int
    prod_handling: str
    dev_handling: str
    team_assignment: str | None
    is_active: bool
    description: str | None


class StoredEntry(Strict):
    """A stored rule."""

    id: int
    rule: RuleFileEntry


class ChangedEntry(Strict):
    """A stored rule and what it becomes; `fields` are those that differ."""

    id: int
    before: RuleFileEntry
    after: RuleFileEntry
    fields: list[str]


class ImportPlan(Strict):
    """What an import changes; `applied`: it has been done."""

    applied: bool
    added: list[RuleFileEntry]
    changed: list[ChangedEntry]
    removed: list[StoredEntry]
    unchanged: int


@operation("GET", "/rules/export", tag=TAG, role=Role.VIEWER, query=ExportQuery, media=tuple(MEDIA.values()))
async def export_rules(call: Call) -> Download:
    """Export all rules as a file that can be imported again."""
    form: Format = call.query.format
    specs = [rule.spec for rule in await call.stores.run(stored_rules)]
    text = render_rules(specs) if form == "yaml" else write_rules(specs)
    return Download(f"mutt-rules.{form}", MEDIA[form], _whole(text))


@operation(
    "POST", "/rules/import", tag=TAG, role=Role.OPERATOR, changes="rules", body=ImportIn, answer=ImportPlan
)
async def import_rules(call: Call) -> Reply:
    """Import a file of rules, all of them or none; without dry_run=false only tell what would change."""
    body: ImportIn = call.body
    try:
        specs = (
            parse_rule_files({"text": body.text}) if body.format == "yaml" else read_rules(body.text, "text")
        )
    except RuleFilesError as error:
        where = "rule" if body.format == "yaml" else "line"
        raise invalid(
            FieldFault(
                field="body.text",
                message=f"{where} {fault.rule}: {fault.problem}" if fault.rule else fault.problem,
            )
            for fault in error.faults[:FAULTS_MOST]
        ) from error
    work: Callable[..., RulePlan] = _planned if body.dry_run else load_rules
    plan = await call.stores.run(work, specs, call.person.name, replace=body.mode == "replace")
    return Reply(_document(plan, applied=not body.dry_run))


OPERATIONS = (export_rules, import_rules)


def _planned(conn: Connection, specs: list[RuleSpec], _changed_by: str, *, replace: bool) -> RulePlan:
    return plan_load(stored_rules(conn), specs, replace=replace)


async def _whole(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


def _document(plan: RulePlan, *, applied: bool) -> dict[str, Any]:
    changed = []
    for rule, spec in plan.changed:
        before, after = asdict(rule.spec), asdict(spec)
        differ = [name for name in before if before[name] != after[name]]
        changed.append({"id": rule.id, "before": before, "after": after, "fields": differ})
    return {
        "applied": applied,
        "added": [asdict(spec) for spec in plan.added],
        "changed": changed,
        "removed": [{"id": rule.id, "rule": asdict(rule.spec)} for rule in plan.deleted],
        "unchanged": plan.unchanged,
    }
