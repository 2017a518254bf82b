"""What the alerter keeps in memory: rules, development hosts and teams, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.queries import query


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One active rule, as it is in the database; whether its pattern compiles is not known yet."""

    id: int
    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    match_type: str
    priority: int
    prod_handling: str
    dev_handling: str
    team_assignment: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class RuleData:
    """Active rules in the order they are tried (priority, then id); host names are in lower case."""

    rules: tuple[RuleRow, ...] = ()
    dev_hosts: frozenset[str] = frozenset()
    teams: dict[str, str] = field(default_factory=dict)


Stamp = tuple[str, str, str]


def rules_stamp(conn: Connection) -> Stamp:
    """Another value after any change of rules, development hosts or teams."""
    with conn.cursor() as cursor:
        cursor.execute(query("rules_stamp"))
        (row,) = cursor.fetchall()
        return row


def load_rule_data(conn: Connection) -> RuleData:
    """Read all three in one snapshot, when `conn` is at the start of a transaction."""
    with conn.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(query("active_rules"))
        rules = tuple(RuleRow(*row) for row in cursor.fetchall())
        cursor.execute(query("development_hosts"))
        dev_hosts = frozenset(hostname.lower() for (hostname,) in cursor.fetchall())
        cursor.execute(query("device_teams"))
        teams = {hostname.lower(): team for hostname, team in cursor.fetchall()}
    return RuleData(rules, dev_hosts, teams)
