"""What the alerter reads at start and on SIGHUP."""

from __future__ import annotations

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.pool import Database
from mutt_appliance.store.rules import RuleData, RuleRow, load_rule_data


def test_an_empty_database_has_no_rules(database: Database) -> None:
    with database.connection() as conn:
        assert load_rule_data(conn) == RuleData()


def test_active_rules_come_in_the_order_they_are_tried(database: Database, conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alert_rules (match_string, priority, is_active, prod_handling, dev_handling) VALUES "
            "('third', 100, true, 'Suppress', 'Suppress'), ('off', 1, false, 'Suppress', 'Suppress'), "
            "('fourth', 100, true, 'Suppress', 'Suppress'), ('first', -5, true, 'Suppress', 'Suppress'), "
            "('second', 10, true, 'Suppress', 'Suppress')"
        )
    with database.connection() as reading:
        data = load_rule_data(reading)
    assert [rule.match_string for rule in data.rules] == ["first", "second", "third", "fourth"]


def test_a_rule_has_every_field(database: Database, conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alert_rules VALUES (7, 'x', '1.3.6', 4, 'oid_prefix', 9, 'Page_only', 'Log_only', 'NETO', "
            "true, 'a rule')"
        )
    with database.connection() as reading:
        (rule,) = load_rule_data(reading).rules
    assert rule == RuleRow(7, "x", "1.3.6", 4, "oid_prefix", 9, "Page_only", "Log_only", "NETO", "a rule")


def test_host_names_are_in_lower_case(database: Database, conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("INSERT INTO development_hosts (hostname) VALUES ('LAB-Router1'), ('lab2')")
        cursor.execute(
            "INSERT INTO device_teams (hostname, team_assignment) VALUES ('Core-SW1', 'DataCentre')"
        )
    with database.connection() as reading:
        data = load_rule_data(reading)
    assert data.dev_hosts == {"lab-router1", "lab2"}
    assert data.teams == {"core-sw1": "DataCentre"}


def test_the_connection_can_write_again_afterwards(database: Database) -> None:
    with database.connection() as conn:
        load_rule_data(conn)
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute("INSERT INTO development_hosts (hostname) VALUES ('a')")
