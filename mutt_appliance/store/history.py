"""config_audit_log: who changed what, from what, to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from mutt_appliance.store.editing import NotFoundError
from mutt_appliance.store.queries import query

SETTING: Final = "config"
"""The entity of changes of dynamic settings."""
DEAD_LETTERS: Final = "dead_letters"
"""The entity of what people did with dead letters."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `before` and `after` as they were noted, None where there was or is nothing."""

    id: int
    changed_at: datetime
    changed_by: str
    action: str
    entity: str
    entity_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def note(
    cursor: Cursor,
    changed_by: str,
    action: str,
    entity: str,
    entity_id: str | int,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Write one change, in the transaction of `cursor`, so that there is no change without its note."""
    documents = [None if state is None else orjson.dumps(dict(state)).decode() for state in (before, after)]
    cursor.execute(query("insert_config_audit"), (changed_by, action, entity, str(entity_id), *documents))


def changes(
    conn: Connection,
    entity: str | None = None,
    entity_id: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Change]:
    """Changes, the newest first; those before `before_id` if given."""
    with conn.cursor() as cursor:
        cursor.execute(
            query("config_audit_page"),
            {"entity": entity, "entity_id": entity_id, "before_id": before_id, "limit": limit},
        )
        return [Change(*row) for row in cursor.fetchall()]


def one_change(conn: Connection, change_id: int) -> Change:
    """One change; raises NotFoundError."""
    found = changes(conn, before_id=change_id + 1, limit=1)
    if not found or found[0].id != change_id:
        raise NotFoundError(f"there is no change {change_id} in the history")
    return found[0]


def note_setting(
    conn: Connection, changed_by: str, action: str, name: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Note a change of a dynamic setting: {"value": …}, {} for its default."""
    with conn.cursor() as cursor:
        note(cursor, changed_by, action, SETTING, name, before, after)


def note_letters(
    conn: Connection, changed_by: str, action: str, queue: str, after: dict[str, Any] | None
) -> None:
    """Note what was done with dead letters of a queue."""
    with conn.cursor() as cursor:
        note(cursor, changed_by, action, DEAD_LETTERS, queue, None, after)
