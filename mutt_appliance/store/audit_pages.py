"""Pages of the audit log, newest first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.queries import query


@dataclass(frozen=True)
class AuditFilter:
    """Which rows; None means any. Times are aware; `since` is included, `until` is not."""

    hostname: str | None = None
    rule_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


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


def audit_page(
    conn: Connection, wanted: AuditFilter, limit: int, after: Place | None = None, offset: int = 0
) -> list[AuditEntry]:
    """Up to `limit` rows after a place, or `offset` rows from the newest (slower the further it is)."""
    values = {
        **asdict(wanted),
        "before_at": after.received_at if after else None,
        "before_id": after.event_id if after else None,
        "limit": limit,
        "offset": offset,
    }
    with conn.cursor() as cursor:
        cursor.execute(query("audit_page"), values)
        return [AuditEntry(*row) for row in cursor.fetchall()]
