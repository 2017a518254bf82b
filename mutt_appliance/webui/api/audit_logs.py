"""/audit-logs: what became of each event that a rule handled."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from mutt_appliance.store.audit_pages import AuditEntry, AuditFilter, Place, audit_page
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Moment, Name, Number, Strict, Text, Time
from mutt_appliance.webui.api.rules import Handling
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.problems import FieldFault, invalid

TAG = "Audit log"
LIMIT_MAX = 200
# To skip a row costs as much as to read it; who goes further follows the cursor.
SKIPPED_MAX = 20_000


class AuditSelection(Strict):
    """Which rows."""

    hostname: Name | None = None
    rule_id: Number | None = None
    start_date: Moment | None = Field(None, description="ISO 8601, UTC without a zone; included")
    end_date: Moment | None = Field(None, description="ISO 8601, UTC without a zone; not included")
    handling: Handling | None = None
    environment: Literal["prod", "dev"] | None = None
    team: Name | None = None

    @property
    def filter(self) -> AuditFilter:
        """As the store knows it."""
        return AuditFilter(
            self.hostname,
            self.rule_id,
            self.start_date,
            self.end_date,
            self.handling,
            self.environment,
            self.team,
        )


class AuditQuery(AuditSelection):
    """Which rows, and which page of them."""

    page: int = Field(1, ge=1, le=1_000_000)
    limit: int | None = Field(
        None, ge=1, le=LIMIT_MAX, description="Rows a page; AUDIT_LOG_PAGE_SIZE without it"
    )
    cursor: Text | None = Field(None, description="next_cursor of the page before; quick however far it is")


class AuditRow(Strict):
    """An event and what was decided."""

    event_id: str
    received_at: Time
    event_timestamp: Time | None
    correlation_id: str | None
    hostname: str
    message: str
    syslog_severity: int | None
    trap_oid: str | None
    rule_id: int | None
    handling: str
    environment: str
    team: str | None
    alert_id: str | None
    forwarded: bool


class AuditPage(Strict):
    """A page, newest first; `next_cursor` is null on the last."""

    page: int
    limit: int
    items: list[AuditRow]
    next_cursor: str | None


@operation("GET", "/audit-logs", tag=TAG, role=Role.VIEWER, query=AuditQuery, answer=AuditPage)
async def list_audit_logs(call: Call) -> Reply:
    """Get audit logs, a page at a time.

    Page numbers reach as far as the first 20,000 rows; a cursor reaches everywhere.
    """
    query: AuditQuery = call.query
    limit = query.limit or call.stores.settings.audit_log_page_size
    skipped = (query.page - 1) * limit if query.cursor is None else 0
    if skipped > SKIPPED_MAX:
        far = f"{query.page}: is more than {SKIPPED_MAX} rows away: follow next_cursor, or narrow the time"
        raise invalid([FieldFault(field="query.page", message=far)])
    after = None if query.cursor is None else place_of(query.cursor)
    rows = await call.stores.run(audit_page, query.filter, limit + 1, after, skipped)
    return Reply({"page": query.page, "limit": limit, **page_of(rows, limit)})


OPERATIONS = (list_audit_logs,)


def page_of(rows: list[AuditEntry], limit: int) -> dict[str, Any]:
    """A page out of up to `limit` + 1 rows; the one too many tells that there are more."""
    more = len(rows) > limit
    return {
        "items": [asdict(row) for row in rows[:limit]],
        "next_cursor": _cursor(rows[limit - 1]) if more else None,
    }


def _cursor(row: AuditEntry) -> str:
    text = f"{row.received_at.astimezone(UTC).isoformat()} {row.event_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """The place that a cursor stands for; raises Problem 422."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==").decode()
        moment, _, event_id = text.partition(" ")
        received_at: Any = datetime.fromisoformat(moment)
    except ValueError as error:
        raise _no_cursor() from error
    if received_at.tzinfo is None or "\0" in event_id:
        raise _no_cursor()
    return Place(received_at, event_id)


def _no_cursor() -> Exception:
    return invalid([FieldFault(field="query.cursor", message="must be a next_cursor of this list")])
