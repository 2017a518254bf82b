"""Rows of the audit log, written as an alerter writes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.audit import AuditRow, AuditWriter
from mutt_appliance.store.pool import Database


def audit_row(number: int, **fields: Any) -> AuditRow:
    """A row with the given fields and harmless others."""
    given: dict[str, Any] = {
        "event_id": f"e{number:03}",
        "correlation_id": "c",
        "received_at": datetime.now(UTC),
        "event_timestamp": None,
        "hostname": "r1",
        "message": f"message {number}",
        "syslog_severity": 3,
        "trap_oid": None,
        "rule_id": 1,
        "handling": "Ticket_only",
        "environment": "prod",
        "team": "NETO",
        "alert_id": f"a{number}",
        "forwarded": True,
        "raw_event": "{}",
    }
    return AuditRow(**{**given, **fields})


def write_audit_rows(settings: Settings, rows: Iterable[AuditRow]) -> None:
    """Put them into the database of `settings`."""
    database = Database(settings, Secrets(), "test")
    try:
        assert AuditWriter(database).write(list(rows)) == []
    finally:
        database.close()
