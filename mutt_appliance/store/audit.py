"""Writes the audit log, a batch of events in one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from mutt_appliance.store.errors import StoreUnavailable, is_missing_partition, is_refused_data, reason
from mutt_appliance.store.partitions import create_partition, months_of
from mutt_appliance.store.pool import Database
from mutt_appliance.store.queries import query
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("store.audit")

# Retention may drop a month again between our making it and writing into it.
PARTITION_ATTEMPTS = 3


class AuditRow(NamedTuple):
    """One handled event. Times are aware datetimes; `raw_event` is the event as JSON text.

    `received_at` and `event_id` identify the row: a row that is there already is left as it is.
    """

    event_id: str
    correlation_id: str | None
    received_at: datetime
    event_timestamp: datetime | None
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
    raw_event: str


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that PostgreSQL will never take: its index in the batch, and why."""

    index: int
    reason: str


class AuditWriter:
    """Writes batches of audit rows through one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, rows: Sequence[AuditRow]) -> list[RefusedRow]:
        """Write `rows` in one transaction; returns those that the database refuses for their values.

        Rows that are there already are not written again. A missing month's partition is made.
        Raises StoreUnavailable, with nothing written, when the database cannot do it now.
        """
        if not rows:
            return []
        for _ in range(PARTITION_ATTEMPTS):
            try:
                return self._write_all(rows)
            except psycopg2.IntegrityError as error:
                if not is_missing_partition(error):
                    raise
                self._make_partitions(rows)
        raise StoreUnavailable(
            "event_audit_log: the partition of an event's month is dropped again and again"
        )

    def _write_all(self, rows: Sequence[AuditRow]) -> list[RefusedRow]:
        try:
            # One statement is its own transaction: no round trips for BEGIN and COMMIT.
            with self._database.connection(autocommit=True) as conn, conn.cursor() as cursor:
                _insert(cursor, rows)
            return []
        except (psycopg2.Error, ValueError) as error:
            if not is_refused_data(error):
                raise
        with self._database.connection() as conn, conn.cursor() as cursor:
            return _insert_all_but_refused(cursor, rows)

    def _make_partitions(self, rows: Sequence[AuditRow]) -> None:
        with self._database.connection() as conn:
            for month in months_of(row.received_at for row in rows):
                log.info("partition for waiting events", partition=create_partition(conn, month))


def _insert(cursor: Cursor, rows: Sequence[AuditRow]) -> None:
    columns = zip(*rows, strict=True)
    literals = [_ARRAYS[name](column) for name, column in zip(AuditRow._fields, columns, strict=True)]
    cursor.execute(query("write_audit_rows"), literals)


def _insert_all_but_refused(cursor: Cursor, rows: Sequence[AuditRow]) -> list[RefusedRow]:
    """Halve the batch around the bad rows, inside one transaction, so that the good ones get in together."""
    refused: list[RefusedRow] = []
    spans = [(0, len(rows))]
    while spans:
        start, end = spans.pop()
        cursor.execute("SAVEPOINT span")
        try:
            _insert(cursor, rows[start:end])
        except (psycopg2.Error, ValueError) as error:
            if not is_refused_data(error):
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT span")
            if end - start == 1:
                refused.append(RefusedRow(start, reason(error)))
            else:
                middle = (start + end) // 2
                spans += [(middle, end), (start, middle)]
        cursor.execute("RELEASE SAVEPOINT span")
    return refused


# Array literals, made here, are half again as fast as execute_values and a third faster than psycopg2's
# ARRAY[...]: the server parses 15 constants instead of 15 a row.


def _text_array(values: Iterable[str | None]) -> str:
    quoted = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for value in values
    ]
    return "{" + ",".join(quoted) + "}"


def _number_array(values: Iterable[int | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _time_array(values: Iterable[datetime | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"


def _boolean_array(values: Iterable[bool]) -> str:
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"


_ARRAYS: dict[str, Callable[..., str]] = {
    "event_id": _text_array,
    "correlation_id": _text_array,
    "received_at": _time_array,
    "event_timestamp": _time_array,
    "hostname": _text_array,
    "message": _text_array,
    "syslog_severity": _number_array,
    "trap_oid": _text_array,
    "rule_id": _number_array,
    "handling": _text_array,
    "environment": _text_array,
    "team": _text_array,
    "alert_id": _text_array,
    "forwarded": _boolean_array,
    "raw_event": _text_array,
}
