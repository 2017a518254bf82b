"""config_audit_log: who changed what, from what, to what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from mutt_appliance.store.queries import query


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
