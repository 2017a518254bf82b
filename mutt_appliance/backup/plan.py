"""What a restore changes (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mutt_appliance.backup.contents import Table

Row = dict[str, Any]
HIDDEN = frozenset({"key_sha256"})
# Of a changed row its stamps are no news.
DULL = frozenset({"version", "updated_at"})
VALUE_MAX_CHARS = 60


@dataclass(frozen=True)
class TablePlan:
    """Rows of one table by what happens to them; a pair in `changed` is the row here and in the backup."""

    table: Table
    added: tuple[Row, ...] = ()
    changed: tuple[tuple[Row, Row], ...] = ()
    removed: tuple[Row, ...] = ()
    unchanged: int = 0

    @property
    def rows_here(self) -> int:
        """How many rows the table has now."""
        return len(self.changed) + len(self.removed) + self.unchanged

    @property
    def changes(self) -> bool:
        """True unless the table is as in the backup."""
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True)
class SettingsPlan:
    """Dynamic settings by name: documents to be written, documents that are there, and why some are left out."""

    writes: Mapping[str, Row] = field(default_factory=dict)
    before: Mapping[str, Row] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed_here(self) -> bool:
        """True if a setting has a value other than its default now."""
        return any("value" in document for document in self.before.values())


def plan_table(table: Table, here: Iterable[Row], wanted: Iterable[Row]) -> TablePlan:
    """Compare by key; only columns that the backup has count, so that an older one fits a newer schema."""
    mine = {row[table.key]: row for row in here}
    added, changed, unchanged = [], [], 0
    for row in wanted:
        there = mine.pop(row[table.key], None)
        if there is None:
            added.append(row)
        elif all(there.get(name) == value for name, value in row.items()):
            unchanged += 1
        else:
            changed.append((there, row))
    return TablePlan(table, tuple(added), tuple(changed), tuple(mine.values()), unchanged)


def plan_settings(
    here: Mapping[str, Row], wanted: Mapping[str, Row], left_out: Mapping[str, str]
) -> SettingsPlan:
    """Documents {"value": …, "version": n} that make the settings those of the backup.

    Where nothing was ever changed a document is taken as it is. Else versions only grow, so that who holds an
    older one is told of the change; a setting that the backup has no value for goes back to its default.
    """
    writes: dict[str, Row] = {}
    for name in here.keys() | wanted.keys():
        if name in left_out:
            continue
        mine, theirs = here.get(name), wanted.get(name, {})
        if mine is None:
            writes[name] = dict(theirs)
        elif _value(mine) != _value(theirs):
            version = max(int(mine["version"]) + 1, int(theirs.get("version", 0)))
            writes[name] = {**_value(theirs), "version": version}
    return SettingsPlan(writes, dict(here), dict(left_out))


def _value(document: Row) -> Row:
    return {"value": document["value"]} if "value" in document else {}


def lines_of_table(plan: TablePlan) -> list[str]:
    """Each change in a line: + added, ~ changed, - removed."""
    lines = [f"+ {_named(plan.table, row)}" for row in plan.added]
    for mine, theirs in plan.changed:
        fields = [name for name in theirs if mine.get(name) != theirs[name]]
        told = [name for name in fields if name not in DULL] or fields
        parts = [
            f"{name} differs"
            if name in HIDDEN
            else f"{name} {_short(mine.get(name))} -> {_short(theirs[name])}"
            for name in told
        ]
        lines.append(f"~ {_named(plan.table, theirs)}: {', '.join(parts)}")
    return lines + [f"- {_named(plan.table, row)}" for row in plan.removed]


def lines_of_settings(plan: SettingsPlan) -> list[str]:
    """Each change of a setting in a line."""
    lines = []
    for name, document in sorted(plan.writes.items()):
        before = plan.before.get(name, {})
        if _value(before) != _value(document):
            old, new = (_short(each.get("value", "its default")) for each in (before, document))
            lines.append(f"~ {name}: {old} -> {new}")
    return lines + [f"! {name}: left out: {why}" for name, why in sorted(plan.left_out.items())]


def _named(table: Table, row: Row) -> str:
    what = row.get("match_string") or row.get("trap_oid")
    return f"{table.entity} {row[table.key]}" + (f" ({_short(what)})" if what else "")


def _short(value: object) -> str:
    shown = repr(value) if isinstance(value, str) else "none" if value is None else str(value)
    return shown if len(shown) <= VALUE_MAX_CHARS else shown[: VALUE_MAX_CHARS - 1] + "…"
