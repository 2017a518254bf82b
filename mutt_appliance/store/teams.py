"""device_teams: which team a host belongs to. Host names are kept as written and compared without regard to case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from mutt_appliance.store.editing import ConflictError, NotFoundError, check_version
from mutt_appliance.store.history import note
from mutt_appliance.store.queries import query

ENTITY = "device_team"


@dataclass(frozen=True, slots=True)
class DeviceTeam:
    """A host and its team."""

    hostname: str
    team_assignment: str
    version: int
    created_at: datetime
    updated_at: datetime


def all_teams(conn: Connection) -> list[DeviceTeam]:
    """Every host with a team, by name."""
    with conn.cursor() as cursor:
        return _read(cursor, None)


def one_team(conn: Connection, hostname: str) -> DeviceTeam:
    """The team of a host; raises NotFoundError."""
    with conn.cursor() as cursor:
        return _one(cursor, hostname)


def add_team(conn: Connection, hostname: str, team: str, changed_by: str) -> DeviceTeam:
    """Give a host a team; raises ConflictError when it has one."""
    with conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO device_teams (hostname, team_assignment) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (hostname, team),
        )
        if not cursor.rowcount:
            there = _one(cursor, hostname)
            raise ConflictError(f"{there.hostname} belongs to {there.team_assignment} already")
        note(cursor, changed_by, "create", ENTITY, hostname, None, {"team_assignment": team})
        return _one(cursor, hostname)


def change_team(
    conn: Connection, hostname: str, team: str, changed_by: str, expected_version: int | None = None
) -> DeviceTeam:
    """Give a host another team; raises NotFoundError, VersionError."""
    with conn.cursor() as cursor:
        before = _one(cursor, hostname, lock=True)
        check_version(before.version, expected_version)
        if before.team_assignment == team:
            return before
        cursor.execute(
            "UPDATE device_teams SET team_assignment = %s, updated_at = now(), version = version + 1 "
            "WHERE hostname = %s",
            (team, before.hostname),
        )
        note(
            cursor,
            changed_by,
            "update",
            ENTITY,
            before.hostname,
            {"team_assignment": before.team_assignment},
            {"team_assignment": team},
        )
        return _one(cursor, hostname)


def remove_team(
    conn: Connection, hostname: str, changed_by: str, expected_version: int | None = None
) -> DeviceTeam:
    """Take a host's team away and return what it was; raises NotFoundError, VersionError."""
    with conn.cursor() as cursor:
        before = _one(cursor, hostname, lock=True)
        check_version(before.version, expected_version)
        cursor.execute("DELETE FROM device_teams WHERE hostname = %s", (before.hostname,))
        note(
            cursor,
            changed_by,
            "delete",
            ENTITY,
            before.hostname,
            {"team_assignment": before.team_assignment},
            None,
        )
        return before


def _one(cursor: Cursor, hostname: str, *, lock: bool = False) -> DeviceTeam:
    for team in _read(cursor, hostname, lock=lock):
        return team
    raise NotFoundError(f"{hostname} has no team")


def _read(cursor: Cursor, hostname: str | None, *, lock: bool = False) -> list[DeviceTeam]:
    cursor.execute(query("teams_with_versions") + (" FOR UPDATE" if lock else ""), {"hostname": hostname})
    return [DeviceTeam(*row) for row in cursor.fetchall()]
