"""/history: who changed what."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field

from mutt_appliance.store.history import changes
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Name, Strict, Time
from mutt_appliance.webui.operations import Call, Reply, operation

LARGEST_ID = 2**63 - 2


class PageOfHistory(Strict):
    """Which part of a history."""

    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(
        None, ge=1, le=LARGEST_ID, description="Only changes before the one with this id"
    )


class HistoryQuery(PageOfHistory):
    """Whose history."""

    entity: Name | None = Field(
        None, description="alert_rule, development_host, device_team, config, api_key, process, dead_letters"
    )
    entity_id: Name | None = Field(None, description="Its id or name")


class ChangeOut(Strict):
    """One change; `before` and `after` are what was and what is, null for nothing."""

    id: int
    changed_at: Time
    changed_by: str
    action: str
    entity: str
    entity_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class History(Strict):
    """Changes, the newest first."""

    items: list[ChangeOut]


@operation("GET", "/history", tag="History", role=Role.VIEWER, query=HistoryQuery, answer=History)
async def list_history(call: Call) -> Reply:
    """List changes of rules, hosts, teams, settings, keys and processes, the newest first."""
    query: HistoryQuery = call.query
    found = await call.stores.run(changes, query.entity, query.entity_id, query.before, query.limit)
    return Reply({"items": [asdict(change) for change in found]})


OPERATIONS = (list_history,)
