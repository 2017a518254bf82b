"""development_hosts: hosts whose events are handled as `dev`. Compared without regard to case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from mutt_appliance.store.editing import ConflictError, NotFoundError
from mutt_appliance.store.history import note
from mutt_appliance.store.queries import query

ENTITY = "development_host"


@dataclass(frozen=True, slots=True)
class DevHost:
    """A host under development."""

    hostname: str
    note: str | None
    created_at: datetime


def all_dev_hosts(conn: Connection) -> list[DevHost]:
    """Every development host, by name."""
    with conn.cursor() as cursor:
        return _read(cursor, None)


def add_dev_host(conn: Connection, hostname: str, remark: str | None, changed_by: str) -> DevHost:
    """Put a host on the list; raises ConflictError when it is there."""
    with conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO development_hosts (hostname, note) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (hostname, remark),
        )
        if not cursor.rowcount:
            raise ConflictError(f"{hostname} is a development host already")
        note(cursor, changed_by, "create", ENTITY, hostname, None, {"note": remark})
        (host,) = _read(cursor, hostname)
        return host


def remove_dev_host(conn: Connection, hostname: str, changed_by: str) -> DevHost:
    """Take a host off the list and return what it was; raises NotFoundError."""
    with conn.cursor() as cursor:
        for host in _read(cursor, hostname):
            cursor.execute("DELETE FROM development_hosts WHERE hostname = %s", (host.hostname,))
            note(cursor, changed_by, "delete", ENTITY, host.hostname, {"note": host.note}, None)
            return host
    raise NotFoundError(f"{hostname} is no development host")


def _read(cursor: Cursor, hostname: str | None) -> list[DevHost]:
    cursor.execute(query("dev_hosts_with_notes"), {"hostname": hostname})
    return [DevHost(*row) for row in cursor.fetchall()]
