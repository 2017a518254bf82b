"""Pages of the audit log, on a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mutt_appliance.store.audit import AuditRow, AuditWriter
from mutt_appliance.store.audit_pages import AuditEntry, AuditFilter, Place, audit_page
from mutt_appliance.store.pool import Database

START = datetime(2026, 10, 31, 23, 59, 0, tzinfo=UTC)
COUNT = 60


@pytest.fixture
def filled(database: Database) -> Database:
    """60 events, two at each time, over the end of a month; every third from host b, every fourth by rule 2."""
    rows = [
        AuditRow(
            event_id=f"e{number:03}",
            correlation_id="c",
            received_at=START + timedelta(seconds=4 * (number // 2)),
            event_timestamp=None,
            hostname="b" if number % 3 == 0 else "a",
            message=f"message {number}",
            syslog_severity=number % 8,
            trap_oid=None,
            rule_id=2 if number % 4 == 0 else 1,
            handling="Log_only",
            environment="prod",
            team="NETO",
            alert_id=None,
            forwarded=False,
            raw_event="{}",
        )
        for number in range(COUNT)
    ]
    assert AuditWriter(database).write(rows) == []
    return database


def page(
    database: Database, wanted: AuditFilter, limit: int, after: Place | None = None, offset: int = 0
) -> list[AuditEntry]:
    with database.connection() as conn:
        return audit_page(conn, wanted, limit, after, offset)


def numbers(entries: list[AuditEntry]) -> list[int]:
    return [int(entry.event_id[1:]) for entry in entries]


@pytest.mark.parametrize("limit", [1, 7, 200])
def test_pages_after_each_other_are_the_whole_log_once_newest_first(filled: Database, limit: int) -> None:
    seen: list[AuditEntry] = []
    while more := page(filled, AuditFilter(), limit, seen[-1].place if seen else None):
        seen += more
    assert numbers(seen) == list(range(COUNT - 1, -1, -1))
    assert {entry.received_at.month for entry in seen} == {10, 11}


def test_a_page_by_its_number_is_the_same_as_by_its_place(filled: Database) -> None:
    first = page(filled, AuditFilter(), 10)
    assert page(filled, AuditFilter(), 10, offset=10) == page(filled, AuditFilter(), 10, first[-1].place)


def test_only_what_is_wanted(filled: Database) -> None:
    assert numbers(page(filled, AuditFilter(hostname="b"), 3)) == [57, 54, 51]
    assert numbers(page(filled, AuditFilter(rule_id=2), 3)) == [56, 52, 48]
    assert numbers(page(filled, AuditFilter(hostname="b", rule_id=2), 9)) == [48, 36, 24, 12, 0]
    since, until = START + timedelta(seconds=8), START + timedelta(seconds=16)
    assert numbers(page(filled, AuditFilter(since=since, until=until), 9)) == [7, 6, 5, 4]
    assert page(filled, AuditFilter(hostname="A"), 9) == []
