"""Rules one at a time, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mutt_appliance.store.editing import ConflictError, NotFoundError, VersionError
from mutt_appliance.store.pool import Database
from mutt_appliance.store.rule_editing import (
    VersionedRule,
    all_rules,
    create_rule,
    delete_rule,
    one_rule,
    update_rule,
)
from mutt_appliance.store.rule_files import RuleSpec

RULE = RuleSpec(match_string="down", prod_handling="Page_only", dev_handling="Log_only", priority=5)
WHO = "an engineer"


def add(database: Database, spec: RuleSpec = RULE) -> VersionedRule:
    with database.connection() as conn:
        return create_rule(conn, spec, WHO)


def history(database: Database) -> list[tuple[object, ...]]:
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT action, entity_id, before->>'priority', after->>'priority' FROM config_audit_log ORDER BY id"
        )
        return cursor.fetchall()


def to_priority(priority: int) -> Callable[[RuleSpec], RuleSpec]:
    return lambda spec: replace(spec, priority=priority)


def test_a_rule_is_added_changed_and_removed_each_with_its_note(database: Database) -> None:
    rule = add(database)
    assert (rule.spec, rule.version) == (RULE, 1)
    with database.connection() as conn:
        changed = update_rule(conn, rule.id, to_priority(7), WHO, expected_version=1)
    assert (changed.spec.priority, changed.version, changed.created_at) == (7, 2, rule.created_at)
    assert changed.updated_at > rule.updated_at
    with database.connection() as conn:
        assert one_rule(conn, rule.id) == changed
        assert delete_rule(conn, rule.id, WHO, expected_version=2) == changed
        assert all_rules(conn) == []
    number = str(rule.id)
    assert history(database) == [
        ("create", number, None, "5"),
        ("update", number, "5", "7"),
        ("delete", number, "7", None),
    ]


def test_rules_come_in_the_order_they_are_tried(database: Database) -> None:
    late = add(database)
    early = add(database, replace(RULE, match_string="up", priority=1, is_active=False))
    with database.connection() as conn:
        assert all_rules(conn) == [early, late]


def test_a_change_of_something_older_is_refused_and_writes_nothing(database: Database) -> None:
    rule = add(database)
    with database.connection() as conn:
        update_rule(conn, rule.id, to_priority(7), WHO)
    with pytest.raises(VersionError, match="is version 2 now"), database.connection() as conn:
        update_rule(conn, rule.id, to_priority(8), WHO, expected_version=1)
    with pytest.raises(VersionError), database.connection() as conn:
        delete_rule(conn, rule.id, WHO, expected_version=1)
    with database.connection() as conn:
        assert one_rule(conn, rule.id).spec.priority == 7


def test_a_change_that_changes_nothing_is_no_change(database: Database) -> None:
    rule = add(database)
    with database.connection() as conn:
        assert update_rule(conn, rule.id, to_priority(5), WHO) == rule
    assert len(history(database)) == 1


def test_two_active_rules_that_match_the_same_are_refused(database: Database) -> None:
    rule = add(database)
    with pytest.raises(ConflictError, match=f"rule {rule.id} matches the same"):
        add(database, replace(RULE, priority=9))
    copy = add(database, replace(RULE, is_active=False))
    with pytest.raises(ConflictError), database.connection() as conn:
        update_rule(conn, copy.id, lambda spec: replace(spec, is_active=True), WHO)


def test_a_rule_that_is_not_there_is_told(database: Database) -> None:
    with database.connection() as conn:
        with pytest.raises(NotFoundError, match="no rule 4711"):
            one_rule(conn, 4711)
        with pytest.raises(NotFoundError):
            update_rule(conn, 4711, to_priority(1), WHO)
        with pytest.raises(NotFoundError):
            delete_rule(conn, 4711, WHO)
