"""The migrator: a child that prepares the database and ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store import service
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.locks import Lock, try_lock
from mutt_appliance.store.partitions import months_ahead, partition_names
from tests.conftest import Stores
from tests.support.children import ChildFactory

MakeSettings = Callable[..., Settings]


def kinds(child_for: ChildFactory, child: object) -> list[str]:
    return [report["kind"] for report in child_for.reports(child)]  # type: ignore[arg-type]


def test_it_creates_migrates_reports_ready_and_returns(
    make_settings: MakeSettings, stores: Stores, child_for: ChildFactory
) -> None:
    settings = make_settings(audit_partitions_ahead=3)
    stores.postgres.execute(f'DROP DATABASE "{settings.db_name}"')
    child = child_for("migrator", settings)
    service.run(child)
    assert "ready" in kinds(child_for, child)
    assert child.health.ok
    conn = connect(settings, Secrets(), "test")
    wanted = [f"event_audit_log_{month:%Y_%m}" for month in months_ahead(datetime.now(UTC), 3)]
    assert partition_names(conn) == wanted
    conn.close()


def test_it_waits_for_a_database_that_is_starting_and_beats_meanwhile(
    make_settings: MakeSettings, stores: Stores, child_for: ChildFactory
) -> None:
    child = child_for("migrator", make_settings())
    stores.postgres.stop()
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(service.run, child)
            beats = 0
            deadline = time.monotonic() + 10
            while beats < 3 and time.monotonic() < deadline:
                beats += kinds(child_for, child).count("beat")
                time.sleep(0.05)
            assert beats >= 3
            assert not running.done()
            stores.postgres.start()
            running.result(20)
    finally:
        if not stores.postgres.running:
            stores.postgres.start()
    assert "ready" in kinds(child_for, child)


def test_it_gives_up_with_exit_1_so_that_others_need_not_wait(
    make_settings: MakeSettings, stores: Stores, child_for: ChildFactory
) -> None:
    child = child_for("migrator", make_settings(start_timeout=2))
    stores.postgres.stop()
    try:
        with pytest.raises(SystemExit) as caught:
            service.run(child)
    finally:
        stores.postgres.start()
    assert caught.value.code == 1
    assert "ready" not in kinds(child_for, child)
    assert not child.health.ok


def test_it_stops_at_once_while_another_appliance_migrates(
    make_settings: MakeSettings, child_for: ChildFactory
) -> None:
    settings = make_settings()
    other = connect(settings, Secrets(), "other appliance")
    with try_lock(other, Lock.MIGRATION) as taken:
        assert taken
        child = child_for("migrator", settings)
        stopper = threading.Timer(0.5, child.request_stop)
        stopper.start()
        began = time.monotonic()
        service.run(child)
        assert time.monotonic() - began < 2
    assert "ready" not in kinds(child_for, child)
    other.close()


def test_it_goes_on_when_the_other_appliance_is_done(
    make_settings: MakeSettings, child_for: ChildFactory
) -> None:
    settings = make_settings()
    other = connect(settings, Secrets(), "other appliance")
    child = child_for("migrator", settings)
    with ThreadPoolExecutor(1) as pool:
        with try_lock(other, Lock.MIGRATION) as taken:
            assert taken
            running = pool.submit(service.run, child)
            with pytest.raises(TimeoutError):
                running.result(0.5)
        running.result(10)
    assert "ready" in kinds(child_for, child)
    other.close()
