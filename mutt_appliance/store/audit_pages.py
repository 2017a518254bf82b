"""Pages of the audit log, newest first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg2.errors
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.editing import NotFoundError
from mutt_appliance.store.queries import query


@dataclass(frozen=True)
class AuditFilter:
    """Which rows; None means any. Times are aware; `since` is included, `until` is not."""

    hostname: str | None = None
    rule_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    handling: str | None = None
    environment: str | None = None
    team: str | None = None


@dataclass(frozen=True)
class Place:
    """A row's place in the order of the log: what a page ends with and the next one begins after."""

    received_at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row of the log without the raw event."""

    event_id: str
    received_at: datetime
    event_timestamp: datetime | None
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

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.received_at, self.event_id)


class SearchTooWideError(Exception):
    """A search took longer than it may."""


@dataclass(frozen=True)
class AuditDetail:
    """A row with the event as it was received."""

    entry: AuditEntry
    raw_event: Any


def audit_page(
    conn: Connection, wanted: AuditFilter, limit: int, after: Place | None = None, offset: int = 0
) -> list[AuditEntry]:
    """Up to `limit` rows after a place, or `offset` rows from the newest (slower the further it is)."""
    values = {**asdict(wanted), **_after(after), "limit": limit, "offset": offset}
    with conn.cursor() as cursor:
        cursor.execute(query("audit_page"), values)
        return [AuditEntry(*row) for row in cursor.fetchall()]


def audit_row(conn: Connection, event_id: str, received_at: datetime | None = None) -> AuditDetail:
    """One row; quick with the time it was received at, else every month is looked into. Raises NotFoundError."""
    with conn.cursor() as cursor:
        cursor.execute(query("audit_row"), {"event_id": event_id, "received_at": received_at})
        for *entry, raw in cursor.fetchall():
            return AuditDetail(AuditEntry(*entry), raw)
    raise NotFoundError(f"{event_id[:128]}: there is no such event in the audit log")


def search_events(
    conn: Connection,
    text: str,
    since: datetime,
    until: datetime,
    hostname: str | None,
    limit: int,
    after: Place | None,
    timeout_ms: int,
) -> list[AuditEntry]:
    """Rows of a span of time with `text` in the message (in any case) or as an id, the newest first.

    Raises SearchTooWideError after `timeout_ms`.
    """
    values = {
        "text": text, "since": since, "until": until, "hostname": hostname, "limit": limit, **_after(after)
    }  # fmt: skip
    with conn.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", (str(timeout_ms),))
        try:
            cursor.execute(query("audit_search"), values)
        except psycopg2.errors.QueryCanceled as error:
            raise SearchTooWideError from error
        return [AuditEntry(*row) for row in cursor.fetchall()]


def _after(place: Place | None) -> dict[str, Any]:
    return {"before_at": place.received_at if place else None, "before_id": place.event_id if place else None}
