"""One rule at a time, each change with its note in config_audit_log. The caller's connection is the transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from mutt_appliance.store.editing import ConflictError, NotFoundError, check_version
from mutt_appliance.store.history import note
from mutt_appliance.store.queries import query
from mutt_appliance.store.rule_files import RuleSpec

ENTITY = "alert_rule"


@dataclass(frozen=True, slots=True)
class VersionedRule:
    """A rule as it is in the database; `version` grows by one with each change."""

    id: int
    spec: RuleSpec
    version: int
    created_at: datetime
    updated_at: datetime


def all_rules(conn: Connection) -> list[VersionedRule]:
    """Every rule, active or not, in the order they are tried."""
    with conn.cursor() as cursor:
        return _read(cursor, None)


def one_rule(conn: Connection, number: int) -> VersionedRule:
    """The rule with that id; raises NotFoundError."""
    with conn.cursor() as cursor:
        return _one(cursor, number)


def create_rule(conn: Connection, spec: RuleSpec, changed_by: str) -> VersionedRule:
    """Add a rule; raises ConflictError when an active one matches the same."""
    with conn.cursor() as cursor:
        _lock(cursor)
        _refuse_second(cursor, spec, None)
        cursor.execute(query("insert_rule"), asdict(spec))
        ((number,),) = cursor.fetchall()
        note(cursor, changed_by, "create", ENTITY, number, None, asdict(spec))
        return _one(cursor, number)


def update_rule(
    conn: Connection,
    number: int,
    change: Callable[[RuleSpec], RuleSpec],
    changed_by: str,
    expected_version: int | None = None,
) -> VersionedRule:
    """Make the rule what `change` makes of it; nothing is written when that is what it was.

    Raises NotFoundError, VersionError, ConflictError, and whatever `change` raises.
    """
    with conn.cursor() as cursor:
        _lock(cursor)
        rule = _one(cursor, number)
        check_version(rule.version, expected_version)
        spec = change(rule.spec)
        if spec == rule.spec:
            return rule
        _refuse_second(cursor, spec, number)
        cursor.execute(query("update_rule"), {**asdict(spec), "id": number})
        note(cursor, changed_by, "update", ENTITY, number, asdict(rule.spec), asdict(spec))
        return _one(cursor, number)


def delete_rule(
    conn: Connection, number: int, changed_by: str, expected_version: int | None = None
) -> VersionedRule:
    """Remove the rule and return what it was; raises NotFoundError, VersionError."""
    with conn.cursor() as cursor:
        _lock(cursor)
        rule = _one(cursor, number)
        check_version(rule.version, expected_version)
        cursor.execute("DELETE FROM alert_rules WHERE id = %s", (number,))
        note(cursor, changed_by, "delete", ENTITY, number, asdict(rule.spec), None)
        return rule


def _lock(cursor: Cursor) -> None:
    # As when files are loaded: two at once could both add the same rule. Readers are not held up.
    cursor.execute("LOCK TABLE alert_rules IN SHARE ROW EXCLUSIVE MODE")


def _refuse_second(cursor: Cursor, spec: RuleSpec, but: int | None) -> None:
    if not spec.is_active:
        return
    cursor.execute(query("rules_that_match_the_same"), asdict(spec))
    others = [number for (number,) in cursor.fetchall() if number != but]
    if others:
        raise ConflictError(f"rule {others[0]} matches the same: change that one, or switch it off first")


def _one(cursor: Cursor, number: int) -> VersionedRule:
    for rule in _read(cursor, number):
        return rule
    raise NotFoundError(f"there is no rule {number}")


def _read(cursor: Cursor, number: int | None) -> list[VersionedRule]:
    cursor.execute(query("rules_with_versions"), {"id": number})
    return [VersionedRule(row[0], RuleSpec(*row[1:11]), *row[11:]) for row in cursor.fetchall()]
