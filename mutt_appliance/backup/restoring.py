"""Restores a backup: looks first, then all of it in one transaction, or nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg2
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.sql import SQL, Identifier

from mutt_appliance.backup.contents import (
    AUDIT,
    AUDIT_FOLDER,
    HISTORY,
    KEPT,
    SETTINGS,
    TABLES,
    BackupError,
    Manifest,
    Table,
)
from mutt_appliance.backup.files import check_backup, read_members
from mutt_appliance.backup.making import stored_documents, table_rows
from mutt_appliance.backup.plan import Row, SettingsPlan, TablePlan, plan_settings, plan_table
from mutt_appliance.config import Settings
from mutt_appliance.config.dynamic import effective
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.store.history import note
from mutt_appliance.store.queries import query
from mutt_appliance.store.row_texts import insert_row_texts, table_columns
from mutt_appliance.store.streaming import texts

INSERTED_ROWS: Final = 1000
IDENTITIES: Final = ("alert_rules", *KEPT)


@dataclass
class Backup:
    """A backup that was read and checked; the audit log, if it is in it, is read again when it is needed."""

    path: Path
    manifest: Manifest
    tables: Mapping[str, list[str]]
    settings: Mapping[str, Row]
    audit_months: frozenset[str] = frozenset()


@dataclass
class Plan:
    """What a restore changes, or has changed."""

    tables: list[TablePlan]
    settings: SettingsPlan
    history_added: int = 0
    history_kept: int = 0
    audit_added: int = 0
    audit_rows: int = 0
    blockers: list[str] = field(default_factory=list)


def open_backup(path: Path) -> Backup:
    """Read and check all of a backup. Raises BackupError."""
    tables: dict[str, list[str]] = {}
    settings: list[bytes] = []
    months: set[str] = set()

    def take(name: str, lines: list[bytes]) -> None:
        if name.startswith(AUDIT_FOLDER):
            # Not orjson: a device may send numbers that no double holds.
            months.update(json.loads(line)["received_at"][:7] for line in lines)
        elif name == SETTINGS:
            settings.extend(lines)
        else:
            tables[name.removesuffix(".ndjson")] = [line.decode() for line in lines]

    try:
        manifest = check_backup(path, take)
        documents: Any = orjson.loads(b"".join(settings))
        if not all(isinstance(document.get("version"), int) for document in documents.values()):
            raise ValueError(SETTINGS)
        for table in TABLES:
            _rows(tables[table.name], table)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"{path}: a member is not of the form it should be: {error!r}") from error
    return Backup(path, manifest, tables, documents, frozenset(months))


def restore_backup(
    conn: Connection,
    client: redis.Redis,
    keys: KeySpace,
    settings: Settings,
    backup: Backup,
    changed_by: str,
    *,
    replace: bool,
    dry_run: bool,
    report: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Make the appliance what the backup says; with `dry_run`, and where something is in the way, only tell.

    `blockers` of the answer says what is in the way: without `replace` nothing that is there is touched. History
    and audit log are added to and never taken from. Raises BackupError, psycopg2.Error, redis.RedisError.
    """
    _check_schema(conn, backup)
    if backup.audit_months and not dry_run:
        _make_partitions(conn, backup)
    with conn.cursor() as cursor:
        # Readers are not held up; who writes waits, and alerters and web UI read.
        names = SQL(", ").join(Identifier(name) for name in (*(table.name for table in TABLES), *KEPT))
        cursor.execute(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(names))
        plan = Plan(
            [_plan_of(conn, table, backup) for table in TABLES],
            _plan_of_settings(client, keys, settings, backup),
            audit_rows=sum(
                member.rows for member in backup.manifest.members if member.name.startswith(AUDIT_FOLDER)
            ),
        )
        plan.blockers = [] if replace else list(_blockers(plan))
        if plan.blockers:
            conn.rollback()
            return plan
        had_rows = any(each.rows_here for each in plan.tables) or plan.settings.changed_here
        for each in plan.tables:
            _write_table(conn, cursor, each, backup)
        _add_to_kept(conn, cursor, plan, backup)
        if not dry_run:
            _add_audit(conn, cursor, plan, backup, report)
        for table in IDENTITIES:
            cursor.execute(SQL(query("raise_identity")).format(table=Identifier(table)), {"table": table})
        _note(cursor, plan, backup, changed_by, each_change=had_rows)
    if dry_run:
        conn.rollback()
        return plan
    _commit_with_settings(conn, client, keys, plan.settings)
    return plan


def _check_schema(conn: Connection, backup: Backup) -> None:
    with conn.cursor() as cursor:
        try:
            cursor.execute(query("applied_migrations"))
        except psycopg2.errors.UndefinedTable as error:
            raise BackupError(
                "the database has no schema of MUTT: start the appliance, or mutt migrate"
            ) from error
        unknown = set(backup.manifest.migrations) - {name for (name,) in cursor.fetchall()}
    conn.commit()
    if unknown:
        raise BackupError(
            f"{backup.path}: was made by MUTT {backup.manifest.mutt_version}, whose database has "
            f"{', '.join(sorted(unknown))}: install that version or a later one, and start it once"
        )


def _make_partitions(conn: Connection, backup: Backup) -> None:
    """Beforehand and for themselves: their lock must not be held for as long as a restore takes."""
    for month in sorted(backup.audit_months):
        with conn.cursor() as cursor:
            cursor.execute("SELECT create_monthly_partition(%s::date)", (f"{month}-01",))
        conn.commit()


def _rows(lines: list[str], table: Table) -> list[Row]:
    rows = [orjson.loads(line) for line in lines]
    if not all(table.key in row for row in rows):
        raise KeyError(table.key)
    return rows


def _plan_of(conn: Connection, table: Table, backup: Backup) -> TablePlan:
    here = itertools.chain.from_iterable(texts(conn, table_rows(table.name, table.key)))
    return plan_table(table, map(orjson.loads, here), _rows(backup.tables[table.name], table))


def _plan_of_settings(
    client: redis.Redis, keys: KeySpace, settings: Settings, backup: Backup
) -> SettingsPlan:
    values = {name: doc["value"] for name, doc in backup.settings.items() if "value" in doc}
    _, faults = effective(settings, values)
    return plan_settings(stored_documents(client, keys), backup.settings, faults)


def _blockers(plan: Plan) -> Any:
    for each in plan.tables:
        if each.rows_here:
            yield f"{each.table.name} has {each.rows_here} rows"
    if plan.settings.changed_here:
        yield "dynamic settings were changed"


def _write_table(conn: Connection, cursor: Cursor, plan: TablePlan, backup: Backup) -> None:
    table = plan.table
    gone = [row[table.key] for row in (*plan.removed, *(mine for mine, _ in plan.changed))]
    if gone:
        cursor.execute(
            SQL("DELETE FROM {table} WHERE {key} = ANY(%s)").format(
                table=Identifier(table.name), key=Identifier(table.key)
            ),
            (gone,),
        )
    # The texts as they are: a time read and written again could lose digits.
    wanted = {row[table.key] for row in (*plan.added, *(theirs for _, theirs in plan.changed))}
    lines = [line for line in backup.tables[table.name] if orjson.loads(line)[table.key] in wanted]
    count = _insert(conn, cursor, table.name, lines)
    if count != len(lines):
        raise BackupError(
            f"{backup.path}: {len(lines) - count} rows of {table.name} are in the way of each other: "
            "nothing was restored"
        )


def _insert(conn: Connection, cursor: Cursor, table: str, lines: list[str]) -> int:
    """Insert rows, whatever of their columns the table has; returns how many were not there."""
    if not lines:
        return 0
    known = json.loads(lines[0])
    columns = [name for name in table_columns(conn, table) if name in known]
    return sum(
        insert_row_texts(cursor, table, columns, lines[first : first + INSERTED_ROWS])
        for first in range(0, len(lines), INSERTED_ROWS)
    )


def _add_to_kept(conn: Connection, cursor: Cursor, plan: Plan, backup: Backup) -> None:
    for table in KEPT:
        lines = backup.tables[table]
        added = _insert(conn, cursor, table, lines)
        if table == HISTORY:
            plan.history_added, plan.history_kept = added, len(lines) - added


def _add_audit(
    conn: Connection, cursor: Cursor, plan: Plan, backup: Backup, report: Callable[[str], None]
) -> None:
    if not backup.audit_months:
        return
    for name, content in read_members(backup.path):
        if name.startswith(AUDIT_FOLDER):
            # Not of the text: that would also be split at line ends of Unicode, which are in messages.
            lines = [line.decode() for line in content.splitlines()]
            plan.audit_added += _insert(conn, cursor, AUDIT, lines)
            report(f"{plan.audit_added} of {plan.audit_rows} rows of the audit log")


def _note(cursor: Cursor, plan: Plan, backup: Backup, changed_by: str, *, each_change: bool) -> None:
    """One entry for the restore; one more for each change where something was there that changed."""
    if each_change:
        for each in plan.tables:
            table = each.table
            changes: list[tuple[Row | None, Row | None]] = [
                *((None, row) for row in each.added),
                *each.changed,
                *((row, None) for row in each.removed),
            ]
            for before, after in changes:
                key = (after or before or {})[table.key]
                note(
                    cursor,
                    changed_by,
                    "restore",
                    table.entity,
                    key,
                    _noted(table, before),
                    _noted(table, after),
                )
        for name, document in plan.settings.writes.items():
            states = [
                {"value": state["value"]} if "value" in state else {}
                for state in (plan.settings.before.get(name, {}), document)
            ]
            if states[0] != states[1]:
                note(cursor, changed_by, "restore", "config", name, *states)
    note(
        cursor,
        changed_by,
        "restore",
        "backup",
        backup.path.name,
        None,
        {
            "made_at": backup.manifest.made_at,
            "host": backup.manifest.host,
            "mutt": backup.manifest.mutt_version,
        },
    )


def _noted(table: Table, row: Row | None) -> Row | None:
    return None if row is None else {name: value for name, value in row.items() if name not in table.unnoted}


def _commit_with_settings(
    conn: Connection, client: redis.Redis, keys: KeySpace, settings: SettingsPlan
) -> None:
    """Both stores or neither: Redis first, because that can be taken back when the commit fails."""
    if not settings.writes:
        conn.commit()
        return
    before: dict[Any, Any] = client.hgetall(keys.config)
    try:
        _put(client, keys, {name: orjson.dumps(document) for name, document in settings.writes.items()})
        conn.commit()
    except (psycopg2.Error, RedisError) as error:
        try:
            # Also after an error of Redis: the answer may be all that was lost.
            _put(client, keys, before, anew=True)
        except RedisError:
            raise BackupError(
                f"nothing was restored, but Redis failed ({error}), so that dynamic settings may be those of the "
                "backup: look at them with GET /api/v1/config when it is back"
            ) from error
        raise


def _put(client: redis.Redis, keys: KeySpace, documents: Mapping[Any, Any], *, anew: bool = False) -> None:
    with client.pipeline(transaction=True) as together:
        if anew:
            together.delete(keys.config)
        if documents:
            together.hset(keys.config, mapping=dict(documents))
        together.execute()
