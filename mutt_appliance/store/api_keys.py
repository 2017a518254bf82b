"""Named keys of the API beside WEBUI_API_KEY; only their digests are stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.editing import ConflictError, NotFoundError
from mutt_appliance.store.history import note
from mutt_appliance.store.queries import query

ENTITY = "api_key"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is stored: `role` in lower case, `digest` 32 bytes."""

    name: str
    role: str
    digest: bytes
    created_at: datetime
    created_by: str


def all_keys(conn: Connection) -> list[StoredKey]:
    """Every named key, by name."""
    with conn.cursor() as cursor:
        cursor.execute(query("api_keys"))
        return [
            StoredKey(name, role, bytes(digest), *rest) for name, role, digest, *rest in cursor.fetchall()
        ]


def add_key(conn: Connection, name: str, role: str, digest: bytes, changed_by: str) -> None:
    """Store a key; raises ConflictError when the name is taken."""
    with conn.cursor() as cursor:
        cursor.execute(query("insert_api_key"), (name, role, digest, changed_by))
        if not cursor.rowcount:
            raise ConflictError(f"there is a key named {name} already")
        note(cursor, changed_by, "create", ENTITY, name, None, {"role": role})


def remove_key(conn: Connection, name: str, changed_by: str) -> None:
    """Forget a key; raises NotFoundError."""
    with conn.cursor() as cursor:
        cursor.execute("DELETE FROM api_keys WHERE name = %s RETURNING role", (name,))
        if not cursor.rowcount:
            raise NotFoundError(f"there is no key named {name}")
        ((role,),) = cursor.fetchall()
        note(cursor, changed_by, "delete", ENTITY, name, {"role": role}, None)
