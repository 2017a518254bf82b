"""Months of the audit log. A month is its first day, in UTC."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.queries import query


def month_of(moment: datetime) -> date:
    """First day of the UTC month of an aware `moment`."""
    return moment.astimezone(UTC).date().replace(day=1)


def months_of(moments: Iterable[datetime]) -> list[date]:
    """The months that `moments` lie in, each once, in order."""
    return sorted({month_of(moment) for moment in moments})


def months_ahead(now: datetime, ahead: int) -> list[date]:
    """The month of `now` and the `ahead` months after it."""
    first = month_of(now)
    count = first.year * 12 + first.month - 1
    return [date((count + n) // 12, (count + n) % 12 + 1, 1) for n in range(ahead + 1)]


def retention_limit(now: datetime, retention_days: int) -> date:
    """The UTC day before which a month must have ended for its partition to be dropped."""
    return now.astimezone(UTC).date() - timedelta(days=retention_days)


def create_partition(conn: Connection, month: date) -> str:
    """Make the partition of `month` unless it is there; returns its name."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT create_monthly_partition(%s)", (month,))
        return str(cursor.fetchall()[0][0])


def partition_name(month: date) -> str:
    """Name that create_monthly_partition gives to the partition of `month`."""
    return f"event_audit_log_{month:%Y_%m}"


def partition_names(conn: Connection) -> list[str]:
    """Names of the partitions that are there, oldest first."""
    with conn.cursor() as cursor:
        cursor.execute(query("partition_names"))
        return [name for (name,) in cursor.fetchall()]


def drop_partitions_before(conn: Connection, day: date) -> list[str]:
    """Drop the months that ended at or before the start of `day` (UTC); returns their names."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT drop_partitions_before(%s)", (day,))
        return [name for (name,) in cursor.fetchall()]
