"""The list of development hosts, on a real PostgreSQL."""

from __future__ import annotations

import pytest

from mutt_appliance.store.dev_hosts import add_dev_host, all_dev_hosts, remove_dev_host
from mutt_appliance.store.editing import ConflictError, NotFoundError
from mutt_appliance.store.pool import Database

WHO = "an engineer"


def test_a_host_is_put_on_the_list_and_taken_off(database: Database) -> None:
    with database.connection() as conn:
        lab = add_dev_host(conn, "Lab-1", "until spring", WHO)
        other = add_dev_host(conn, "a-lab", None, WHO)
        assert all_dev_hosts(conn) == [other, lab]
        assert remove_dev_host(conn, "LAB-1", WHO) == lab
        assert all_dev_hosts(conn) == [other]
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT action, entity, entity_id, before->>'note', after->>'note' FROM config_audit_log ORDER BY id"
        )
        assert cursor.fetchall() == [
            ("create", "development_host", "Lab-1", None, "until spring"),
            ("create", "development_host", "a-lab", None, None),
            ("delete", "development_host", "Lab-1", "until spring", None),
        ]


def test_a_host_is_on_the_list_once_however_it_is_written(database: Database) -> None:
    with database.connection() as conn:
        add_dev_host(conn, "lab-1", None, WHO)
    with pytest.raises(ConflictError, match="LAB-1 is a development host already"):  # noqa: SIM117
        with database.connection() as conn:
            add_dev_host(conn, "LAB-1", None, WHO)


def test_a_host_that_is_not_on_the_list_is_told(database: Database) -> None:
    with database.connection() as conn, pytest.raises(NotFoundError, match="r1 is no development host"):
        remove_dev_host(conn, "r1", WHO)
