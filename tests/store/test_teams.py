"""Teams of hosts, on a real PostgreSQL."""

from __future__ import annotations

import pytest

from mutt_appliance.store.editing import ConflictError, NotFoundError, VersionError
from mutt_appliance.store.pool import Database
from mutt_appliance.store.teams import add_team, all_teams, change_team, one_team, remove_team

WHO = "an engineer"


def test_a_host_gets_a_team_another_and_none(database: Database) -> None:
    with database.connection() as conn:
        added = add_team(conn, "Router-1", "NETO", WHO)
        changed = change_team(conn, "router-1", "CORE", WHO, expected_version=1)
        assert (changed.hostname, changed.team_assignment, changed.version) == ("Router-1", "CORE", 2)
        assert changed.created_at == added.created_at
        assert one_team(conn, "ROUTER-1") == changed
        assert remove_team(conn, "router-1", WHO, expected_version=2) == changed
        assert all_teams(conn) == []
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT action, entity, entity_id, before->>'team_assignment', after->>'team_assignment' "
            "FROM config_audit_log ORDER BY id"
        )
        assert cursor.fetchall() == [
            ("create", "device_team", "Router-1", None, "NETO"),
            ("update", "device_team", "Router-1", "NETO", "CORE"),
            ("delete", "device_team", "Router-1", "CORE", None),
        ]


def test_a_host_has_one_team_however_it_is_written(database: Database) -> None:
    with database.connection() as conn:
        add_team(conn, "Router-1", "NETO", WHO)
    with (
        pytest.raises(ConflictError, match="Router-1 belongs to NETO already"),
        database.connection() as conn,
    ):
        add_team(conn, "ROUTER-1", "CORE", WHO)


def test_a_change_of_something_older_is_refused(database: Database) -> None:
    with database.connection() as conn:
        add_team(conn, "r1", "NETO", WHO)
        change_team(conn, "r1", "CORE", WHO)
    with pytest.raises(VersionError), database.connection() as conn:
        change_team(conn, "r1", "EDGE", WHO, expected_version=1)
    with pytest.raises(VersionError), database.connection() as conn:
        remove_team(conn, "r1", WHO, expected_version=1)
    with database.connection() as conn:
        assert one_team(conn, "r1").team_assignment == "CORE"


def test_the_same_team_again_is_no_change(database: Database) -> None:
    with database.connection() as conn:
        added = add_team(conn, "r1", "NETO", WHO)
        assert change_team(conn, "r1", "NETO", WHO) == added


def test_a_host_without_a_team_is_told(database: Database) -> None:
    with database.connection() as conn:
        with pytest.raises(NotFoundError, match="r9 has no team"):
            one_team(conn, "r9")
        with pytest.raises(NotFoundError):
            change_team(conn, "r9", "NETO", WHO)
        with pytest.raises(NotFoundError):
            remove_team(conn, "r9", WHO)
