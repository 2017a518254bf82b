"""Puts rules from files into the database, all or nothing, and reads them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.history import note
from mutt_appliance.store.queries import query
from mutt_appliance.store.rule_editing import ENTITY
from mutt_appliance.store.rule_files import RuleSpec


@dataclass(frozen=True)
class StoredRule:
    """A rule with its number in the database."""

    id: int
    spec: RuleSpec


@dataclass(frozen=True)
class RulePlan:
    """What loading files would do; a pair in `changed` is the stored rule and what it becomes."""

    added: tuple[RuleSpec, ...]
    changed: tuple[tuple[StoredRule, RuleSpec], ...]
    deleted: tuple[StoredRule, ...]
    unchanged: int


def plan_load(stored: Sequence[StoredRule], wanted: Iterable[RuleSpec], *, replace: bool) -> RulePlan:
    """Compare by what a rule matches; with `replace`, stored rules that are not wanted are deleted."""
    left = list(stored)
    by_key: dict[object, StoredRule] = {}
    for rule in sorted(left, key=lambda rule: rule.id):
        by_key.setdefault(rule.spec.key, rule)
    added, changed, unchanged, kept = [], [], 0, set()
    for spec in wanted:
        rule_there = by_key.get(spec.key)
        if rule_there is None:
            added.append(spec)
            continue
        kept.add(rule_there.id)
        if rule_there.spec == spec:
            unchanged += 1
        else:
            changed.append((rule_there, spec))
    deleted = tuple(rule for rule in left if rule.id not in kept) if replace else ()
    return RulePlan(tuple(added), tuple(changed), deleted, unchanged)


def stored_rules(conn: Connection) -> list[StoredRule]:
    """All rules, active or not, in the order they are tried."""
    with conn.cursor() as cursor:
        cursor.execute(query("all_rules"))
        return [StoredRule(row[0], RuleSpec(*row[1:])) for row in cursor.fetchall()]


def load_rules(conn: Connection, wanted: Sequence[RuleSpec], changed_by: str, *, replace: bool) -> RulePlan:
    """Make the database hold `wanted`, each change noted in config_audit_log, in the transaction of `conn`."""
    with conn.cursor() as cursor:
        # Two loads at once would both add the same rules; readers are not held up.
        cursor.execute("LOCK TABLE alert_rules IN SHARE ROW EXCLUSIVE MODE")
        plan = plan_load(stored_rules(conn), wanted, replace=replace)
        for spec in plan.added:
            cursor.execute(query("insert_rule"), asdict(spec))
            ((number,),) = cursor.fetchall()
            note(cursor, changed_by, "create", ENTITY, number, None, asdict(spec))
        for rule, spec in plan.changed:
            cursor.execute(query("update_rule"), {**asdict(spec), "id": rule.id})
            note(cursor, changed_by, "update", ENTITY, rule.id, asdict(rule.spec), asdict(spec))
        for rule in plan.deleted:
            cursor.execute("DELETE FROM alert_rules WHERE id = %s", (rule.id,))
            note(cursor, changed_by, "delete", ENTITY, rule.id, asdict(rule.spec), None)
    return plan
