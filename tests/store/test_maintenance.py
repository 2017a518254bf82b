"""Partitions ahead and retention."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.locks import Lock, try_lock
from mutt_appliance.store.maintenance import Maintained, maintain, run_once, start_maintenance_thread
from mutt_appliance.store.partitions import create_partition, drop_partitions_before, partition_names
from mutt_appliance.store.pool import Database
from tests.conftest import Stores
from tests.store.conftest import SECRETS
from tests.support.children import ChildFactory
from tests.support.waiting import wait_until

MakeSettings = Callable[..., Settings]
FAR = date(2200, 1, 1)


def test_the_coming_months_are_made_and_those_past_retention_dropped(
    settings: Settings, make_settings: MakeSettings, conn: Connection
) -> None:
    drop_partitions_before(conn, FAR)
    for month in (1, 2, 3):
        create_partition(conn, date(2026, month, 1))
    chosen = make_settings(audit_retention_days=30, audit_partitions_ahead=1)
    with_transactions = connect(chosen, SECRETS, "test")
    done = run_once(with_transactions, chosen, datetime(2026, 3, 30, 23, tzinfo=UTC))
    assert done == Maintained(("event_audit_log_2026_04",), ("event_audit_log_2026_01",))
    done = run_once(with_transactions, chosen, datetime(2026, 3, 31, tzinfo=UTC))
    assert done == Maintained((), ("event_audit_log_2026_02",))
    with_transactions.close()
    assert partition_names(conn) == ["event_audit_log_2026_03", "event_audit_log_2026_04"]


def test_no_retention_keeps_all(settings: Settings, make_settings: MakeSettings, conn: Connection) -> None:
    create_partition(conn, date(1999, 1, 1))
    done = run_once(conn, make_settings(audit_retention_days=0), datetime.now(UTC))
    assert done == Maintained((), ())


def test_of_several_processes_one_does_it(settings: Settings, database: Database, conn: Connection) -> None:
    with database.connection() as other, try_lock(other, Lock.MAINTENANCE) as taken:
        assert taken
        assert run_once(conn, settings, datetime.now(UTC)) is None
    assert run_once(conn, settings, datetime.now(UTC)) == Maintained((), ())


def test_the_lock_of_a_session_that_died_is_free(settings: Settings, conn: Connection) -> None:
    dead = connect(settings, SECRETS, "test")
    with try_lock(dead, Lock.MAINTENANCE) as taken:
        assert taken
        dead.close()
    wait_until(lambda: run_once(conn, settings, datetime.now(UTC)) is not None, 5, "the lock is free")


def test_a_database_that_is_away_is_no_reason_to_fail(
    make_settings: MakeSettings, database: Database, stores: Stores
) -> None:
    stores.postgres.stop()
    try:
        assert maintain(database) is False
    finally:
        stores.postgres.start()
    assert maintain(database) is True


def test_the_thread_goes_on_until_the_child_stops(
    settings: Settings, make_settings: MakeSettings, conn: Connection, child_for: ChildFactory
) -> None:
    chosen = make_settings(maintenance_interval=1)
    child = child_for("alerter", chosen)
    pool = Database(chosen, SECRETS, "mutt test")
    thread = start_maintenance_thread(child, pool)
    present = f"event_audit_log_{datetime.now(UTC):%Y_%m}"
    for _ in range(2):
        drop_partitions_before(conn, FAR)
        wait_until(lambda: present in partition_names(conn), 10, "the partition is made again")
    child.request_stop()
    thread.join(5)
    assert not thread.is_alive()
    pool.close()
