"""Months: the arithmetic, and the partitions in a real database."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone

import psycopg2
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.store.partitions import (
    create_partition,
    drop_partitions_before,
    month_of,
    months_ahead,
    months_of,
    partition_names,
)
from mutt_appliance.store.pool import Database
from mutt_appliance.store.queries import query
from tests.store.conftest import SECRETS

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2),
    max_value=datetime(9998, 1, 1),
    timezones=st.just(UTC),
)


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, 999999, UTC), date(2026, 11, 1)),
        (datetime(2026, 12, 1, tzinfo=UTC), date(2026, 12, 1)),
        (datetime(2026, 12, 1, 1, tzinfo=timezone(timedelta(hours=9))), date(2026, 11, 1)),
    ],
)
def test_a_month_is_that_of_utc(moment: datetime, month: date) -> None:
    assert month_of(moment) == month


def test_the_months_of_a_batch_come_once_and_in_order() -> None:
    moments = [
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2026, 12, 31, tzinfo=UTC),
        datetime(2027, 1, 9, tzinfo=UTC),
    ]
    assert months_of(moments) == [date(2026, 12, 1), date(2027, 1, 1)]


@hypothesis_settings(deadline=None)
@given(MOMENTS, st.integers(0, 24))
def test_months_ahead_are_consecutive_and_begin_with_the_present_one(now: datetime, ahead: int) -> None:
    months = months_ahead(now, ahead)
    assert len(months) == ahead + 1
    assert months[0] == month_of(now)
    assert all(
        (later.year * 12 + later.month) - (earlier.year * 12 + earlier.month) == 1
        for earlier, later in itertools.pairwise(months)
    )


def test_a_partition_has_the_bounds_of_its_utc_month_whatever_the_session_s_zone(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("SET timezone = 'Pacific/Auckland'")
        assert create_partition(conn, date(2031, 2, 17)) == "event_audit_log_2031_02"
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'event_audit_log_2031_02'"
        )
        assert cursor.fetchall() == [
            ("FOR VALUES FROM ('2031-02-01 00:00:00+00') TO ('2031-03-01 00:00:00+00')",)
        ]


def test_making_a_partition_again_does_nothing(conn: Connection) -> None:
    names = [create_partition(conn, date(2031, 2, day)) for day in (1, 28)]
    assert names == ["event_audit_log_2031_02"] * 2
    assert partition_names(conn).count("event_audit_log_2031_02") == 1


def test_sessions_that_make_the_same_partitions_at_once_all_succeed(
    make_settings: Callable[..., Settings], settings: Settings, conn: Connection
) -> None:
    database = Database(make_settings(db_pool_max_conn=8), SECRETS, "mutt test")

    def make(number: int) -> str:
        with database.connection() as connection:
            return create_partition(connection, date(2040 + number // 8, 1, 1))

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(make, range(80)))
    database.close()
    assert sorted(set(names)) == [f"event_audit_log_{year}_01" for year in range(2040, 2050)]
    assert set(names) <= set(partition_names(conn))


def test_making_a_partition_waits_for_no_writer(database: Database, conn: Connection) -> None:
    with database.connection() as busy, busy.cursor() as cursor:
        cursor.execute("LOCK TABLE event_audit_log IN ROW EXCLUSIVE MODE")
        with conn.cursor() as look:
            look.execute("SET lock_timeout = '1s'")
        assert create_partition(conn, date(2031, 2, 1)) == "event_audit_log_2031_02"


def test_only_months_that_ended_before_the_day_are_dropped(conn: Connection) -> None:
    kept = partition_names(conn)
    for month in (date(2020, 1, 1), date(2020, 2, 1), date(2020, 3, 1)):
        create_partition(conn, month)
    assert drop_partitions_before(conn, date(2020, 2, 29)) == ["event_audit_log_2020_01"]
    assert drop_partitions_before(conn, date(2020, 3, 1)) == ["event_audit_log_2020_02"]
    assert partition_names(conn) == ["event_audit_log_2020_03", *kept]


def test_a_partition_that_an_administrator_made_is_left_alone(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE archive PARTITION OF event_audit_log FOR VALUES FROM ('2000-01-01') TO ('2010-01-01')"
        )
    assert drop_partitions_before(conn, date(2020, 1, 1)) == []
    assert "archive" in partition_names(conn)


def test_dropping_gives_way_to_a_long_query(database: Database, conn: Connection) -> None:
    create_partition(conn, date(2020, 1, 1))
    with database.connection() as reader, reader.cursor() as cursor:
        cursor.execute(query("partition_names"))
        cursor.execute("SELECT count(*) FROM event_audit_log")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            drop_partitions_before(conn, date(2020, 3, 1))
    assert drop_partitions_before(conn, date(2020, 3, 1)) == ["event_audit_log_2020_01"]
