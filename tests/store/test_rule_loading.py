"""Loading rules: by what they match, all or nothing, each change on record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.pool import Database
from mutt_appliance.store.rule_files import RuleSpec
from mutt_appliance.store.rule_loading import RulePlan, StoredRule, load_rules, plan_load, stored_rules

RULE = RuleSpec(match_string="a", prod_handling="Page_only", dev_handling="Log_only")
OTHER = replace(RULE, match_string="b", priority=200)


def test_the_same_match_is_the_same_rule() -> None:
    changed = replace(RULE, priority=5, description="now with one")
    plan = plan_load([StoredRule(1, RULE), StoredRule(2, OTHER)], [changed], replace=False)
    assert plan == RulePlan((), ((StoredRule(1, RULE), changed),), (), 0)


def test_another_severity_is_another_rule() -> None:
    narrower = replace(RULE, syslog_severity=2)
    assert plan_load([StoredRule(1, RULE)], [narrower], replace=False).added == (narrower,)


def test_replacing_deletes_what_is_not_wanted_and_what_is_there_twice() -> None:
    stored = [StoredRule(1, RULE), StoredRule(2, OTHER), StoredRule(3, RULE)]
    plan = plan_load(stored, [RULE], replace=True)
    assert plan == RulePlan((), (), (StoredRule(2, OTHER), StoredRule(3, RULE)), 1)


def test_loading_twice_changes_nothing_the_second_time(database: Database) -> None:
    for added in (2, 0):
        with database.connection() as conn:
            plan = load_rules(conn, [RULE, OTHER], "test", replace=False)
        assert (len(plan.added), plan.unchanged) == (added, 2 - added)
    with database.connection() as conn:
        assert [rule.spec for rule in stored_rules(conn)] == [RULE, OTHER]


def test_each_change_raises_the_version_and_is_on_record(database: Database, conn: Connection) -> None:
    for wanted in ([RULE, OTHER], [replace(RULE, team_assignment="NETO")]):
        with database.connection() as connection:
            load_rules(connection, wanted, "an engineer", replace=True)
    with conn.cursor() as cursor:
        cursor.execute("SELECT version, updated_at > created_at FROM alert_rules")
        assert cursor.fetchall() == [(2, True)]
        cursor.execute(
            "SELECT changed_by, action, entity, before->>'match_string', after->>'team_assignment' "
            "FROM config_audit_log ORDER BY id"
        )
        assert cursor.fetchall() == [
            ("an engineer", "create", "alert_rule", None, None),
            ("an engineer", "create", "alert_rule", None, None),
            ("an engineer", "update", "alert_rule", "a", "NETO"),
            ("an engineer", "delete", "alert_rule", "b", None),
        ]


def test_a_rule_that_the_database_refuses_takes_all_back(database: Database) -> None:
    bad = replace(OTHER, prod_handling="Page")
    with pytest.raises(psycopg2.errors.CheckViolation), database.connection() as conn:
        load_rules(conn, [RULE, bad], "test", replace=False)
    with database.connection() as conn:
        assert stored_rules(conn) == []


def test_two_loads_at_once_do_not_add_the_same_rule_twice(database: Database) -> None:
    def load(_: int) -> int:
        with database.connection() as conn:
            return len(load_rules(conn, [RULE, OTHER], "test", replace=False).added)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(load, range(4))) == [0, 0, 0, 2]
