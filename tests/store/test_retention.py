"""Months past retention: exported, verified, dropped; under load, and interrupted at every point."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.store import retention
from mutt_appliance.store.archive_files import ArchiveError, manifest_path, read_manifest
from mutt_appliance.store.audit import AuditWriter
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.errors import Stopped
from mutt_appliance.store.locks import Lock, try_lock
from mutt_appliance.store.maintenance import maintain, run_once
from mutt_appliance.store.partitions import create_partition, partition_names
from mutt_appliance.store.pool import Database
from mutt_appliance.store.retention import archives, due_months, due_on, parts, retire
from mutt_appliance.telemetry.metrics import AlerterMetrics, enable_pool_metrics, exposition
from tests.store.conftest import SECRETS
from tests.support.audit import audit_row, write_audit_rows
from tests.support.waiting import wait_until

JANUARY = datetime(2026, 1, 15, 12, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 15, 12, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MakeSettings = Callable[..., Settings]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def chosen(settings: Settings, make_settings: MakeSettings, archive: Path) -> Settings:
    """Settings with an archive, on the migrated database."""
    return make_settings(audit_archive_dir=archive, audit_retention_days=30, maintenance_interval=1)


@pytest.fixture
def worker(chosen: Settings) -> Connection:
    """A connection as the maintenance has it."""
    return connect(chosen, SECRETS, "test")


def write(settings: Settings, moment: datetime, count: int, first: int = 0) -> None:
    write_audit_rows(
        settings,
        [
            audit_row(n, received_at=moment + timedelta(microseconds=n), message=f'line\n{n} ü \\ "')
            for n in range(first, first + count)
        ],
    )


def row_count(conn: Connection) -> int:
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event_audit_log")
        ((count,),) = cursor.fetchall()
    return int(count)


def archived_rows(folder: Path) -> list[dict[str, object]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


@pytest.mark.parametrize(
    ("month", "days", "day"),
    [
        (date(2026, 1, 1), 1, date(2026, 2, 2)),
        (date(2025, 12, 1), 90, date(2026, 4, 1)),
        (date(2024, 2, 1), 30, date(2024, 3, 31)),
    ],
)
def test_a_month_is_due_so_many_days_after_its_end(month: date, days: int, day: date) -> None:
    assert due_on(month, days) == day


def test_the_day_that_is_told_is_the_day_on_which_it_happens(
    settings: Settings, make_settings: MakeSettings, conn: Connection
) -> None:
    create_partition(conn, date(2026, 1, 1))
    chosen = make_settings(audit_retention_days=30)
    day = datetime.combine(due_on(date(2026, 1, 1), 30), datetime.min.time(), UTC)
    assert due_months(conn, chosen, day - timedelta(seconds=1)) == []
    assert [due.name for due in due_months(conn, chosen, day)] == ["event_audit_log_2026_01"]


def test_a_month_goes_into_a_file_and_out_of_the_database(
    chosen: Settings, worker: Connection, conn: Connection, archive: Path
) -> None:
    write(chosen, JANUARY, 4500)
    write(chosen, FEBRUARY, 10, first=5000)
    write(chosen, NOW, 7, first=6000)
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT to_jsonb(e) FROM event_audit_log AS e WHERE received_at < '2026-03-01' ORDER BY received_at"
        )
        before = [row for (row,) in cursor.fetchall()]
    done = retire(worker, chosen, NOW)
    assert done.failure == ""
    assert done.dropped == ["event_audit_log_2026_01", "event_audit_log_2026_02"]
    assert archived_rows(archive) == before
    assert row_count(conn) == 7
    assert not set(partition_names(conn)) & set(done.dropped)
    noted = archives(conn)
    assert [(each.month, each.rows) for each in noted] == [(date(2026, 1, 1), 4500), (date(2026, 2, 1), 10)]
    assert noted[0].first_received_at == JANUARY
    for each in noted:
        assert read_manifest(manifest_path(Path(each.file))).sha256 == each.sha256


def test_without_an_archive_a_month_is_dropped(
    settings: Settings, make_settings: MakeSettings, conn: Connection
) -> None:
    chosen = make_settings(audit_retention_days=30)
    write(chosen, JANUARY, 3)
    with closing(connect(chosen, SECRETS, "test")) as worker:
        assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]
    assert (row_count(conn), archives(conn)) == (0, [])


def test_a_month_without_rows_leaves_no_file(
    chosen: Settings, worker: Connection, archive: Path, conn: Connection
) -> None:
    create_partition(conn, date(2026, 1, 1))
    assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]
    assert not archive.exists()


def test_under_load_the_rows_before_are_the_rows_after_and_those_in_the_file(
    chosen: Settings, worker: Connection, conn: Connection, archive: Path
) -> None:
    """A writer goes on, also with late rows of the month that is leaving; no write takes long, no row is lost."""
    write(chosen, JANUARY, 20_000)
    written, slowest, stop = [20_000], [0.0], threading.Event()
    database = Database(chosen, SECRETS, "writer")

    def load() -> None:
        writer, number = AuditWriter(database), 20_000
        while not stop.is_set():
            moments = (datetime.now(UTC), JANUARY + timedelta(days=1, microseconds=number))
            started = datetime.now(UTC)
            rows = [audit_row(number + n, received_at=moment) for n, moment in enumerate(moments)]
            assert writer.write(rows) == []
            slowest[0] = max(slowest[0], (datetime.now(UTC) - started).total_seconds())
            number += 2
            written[0] += 2

    thread = threading.Thread(target=load)
    thread.start()
    dropped = 0
    try:
        wait_until(lambda: written[0] > 20_100, 20, "the writer is at work")
        while dropped < 3:
            done = retire(worker, chosen, NOW)
            assert done.failure == ""
            dropped += len(done.dropped)
    finally:
        stop.set()
        thread.join(20)
        database.close()
    kept, gone = row_count(conn), archived_rows(archive)
    assert kept + len(gone) == written[0]
    assert len({row["event_id"] for row in gone}) == len(gone)
    assert sum(each.rows for each in archives(conn)) == len(gone)
    assert slowest[0] < 2.0
    print(
        f"{written[0]} rows written, {len(gone)} in {len(archives(conn))} files, {kept} kept, "
        f"slowest write {slowest[0]:.3f} s"
    )


def test_rows_that_come_while_the_file_is_written_are_in_it(
    chosen: Settings, worker: Connection, conn: Connection, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(chosen, JANUARY, 3)
    detach = retention._detach

    def late(connection: Connection, name: str) -> str:
        write(chosen, JANUARY, 2, first=10)
        return detach(connection, name)

    monkeypatch.setattr(retention, "_detach", late)
    assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]
    assert len(archived_rows(archive)) == 5
    assert [each.rows for each in archives(conn)] == [5]


def test_a_row_that_comes_after_its_month_is_gone_makes_a_second_file(
    chosen: Settings, worker: Connection, conn: Connection, archive: Path
) -> None:
    write(chosen, JANUARY, 3)
    retire(worker, chosen, NOW)
    write(chosen, JANUARY, 1, first=9)
    retire(worker, chosen, NOW)
    assert [(Path(each.file).name, each.rows) for each in archives(conn)] == [
        ("event_audit_log_2026_01.ndjson.gz", 3),
        ("event_audit_log_2026_01-2.ndjson.gz", 1),
    ]


@pytest.mark.parametrize("step", ["write_archive", "check_file", "_detach", "row_count", "_drop_detached"])
def test_after_an_interruption_at_any_step_the_next_look_ends_it(
    chosen: Settings, conn: Connection, archive: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The step fails as when the process is killed: its session is gone with what it had not committed."""
    write(chosen, JANUARY, 50)
    with monkeypatch.context() as patch, closing(connect(chosen, SECRETS, "killed")) as killed:

        def die(*_: object) -> None:
            killed.close()
            raise KeyboardInterrupt

        patch.setattr(retention, step, die)
        if step == "check_file":
            # Only a file that is there already is read back by this name.
            patch.setattr(retention, "_detach", _stopped)
            with closing(connect(chosen, SECRETS, "first")) as first, pytest.raises(Stopped):
                retire(first, chosen, NOW)
        with pytest.raises(KeyboardInterrupt):
            retire(killed, chosen, NOW)
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'event_audit_log_2026_01%' AND relkind = 'r'"
        )
        assert cursor.fetchall() == [(1,)], "nothing is dropped yet"
    with closing(connect(chosen, SECRETS, "next")) as worker:
        assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]
    assert len(archived_rows(archive)) == 50
    assert [each.rows for each in archives(conn)] == [50]
    assert len(list(archive.iterdir())) == 2


def _stopped(*_: object) -> str:
    raise Stopped


def first_attempt(
    chosen: Settings, worker: Connection, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The file of five rows that an attempt left behind which then ended."""
    write(chosen, JANUARY, 5)
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_detach", _stopped)
        with pytest.raises(Stopped):
            retire(worker, chosen, NOW)
    (path,) = archive.glob("*.gz")
    return path


def test_a_file_of_a_former_attempt_is_not_written_again(
    chosen: Settings, worker: Connection, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = first_attempt(chosen, worker, archive, monkeypatch)
    before = path.stat().st_ino
    assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]
    assert path.stat().st_ino == before


def test_a_damaged_file_of_a_former_attempt_is_written_again(
    chosen: Settings, worker: Connection, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = first_attempt(chosen, worker, archive, monkeypatch)
    path.write_bytes(path.read_bytes()[:-3])
    assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]
    assert len(archived_rows(archive)) == 5


def test_a_file_that_is_not_what_was_written_keeps_the_month(
    chosen: Settings, worker: Connection, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(chosen, JANUARY, 5)

    def damaged(*_: object) -> None:
        raise ArchiveError("x: the file is damaged")

    monkeypatch.setattr("mutt_appliance.store.archive_files.check_file", damaged)
    done = retire(worker, chosen, NOW)
    assert (done.dropped, done.failure, done.waiting) == ([], "x: the file is damaged", 1)
    assert row_count(conn) == 5


def test_a_month_is_not_taken_for_archived_because_of_a_file_of_another_postgresql(
    chosen: Settings, worker: Connection, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embedded stores of two appliances are made by the same steps, so their partitions have the same oids."""
    path = first_attempt(chosen, worker, archive, monkeypatch)
    beside = manifest_path(path)
    document = json.loads(beside.read_text())
    beside.write_text(json.dumps({**document, "cluster": "1"}))
    theirs = path.read_bytes()
    assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]
    assert path.read_bytes() == theirs
    assert [each.name for each in archive.glob("*-2.ndjson.gz")] == ["event_audit_log_2026_01-2.ndjson.gz"]


def test_a_folder_that_cannot_be_looked_at_is_a_failure_and_the_end_of_nothing(
    make_settings: MakeSettings, settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    chosen = make_settings(audit_archive_dir=tmp_path / ("x" * 300), audit_retention_days=30)
    write(chosen, JANUARY, 5)
    database = Database(chosen, SECRETS, "test")
    assert maintain(database) is True
    database.close()
    assert row_count(conn) == 5


def test_the_identifier_of_the_cluster_is_for_everybody_to_read(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("SELECT has_function_privilege('public', 'pg_control_system()', 'EXECUTE')")
        assert cursor.fetchall() == [(True,)]


def test_a_folder_that_cannot_be_written_keeps_the_month_and_is_counted(
    make_settings: MakeSettings, settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    chosen = make_settings(audit_archive_dir=tmp_path / "file", audit_retention_days=30)
    write(chosen, JANUARY, 5)
    enable_pool_metrics(chosen.mutt_runtime_dir, "alerter", 0)
    metrics = AlerterMetrics()
    database = Database(chosen, SECRETS, "test")
    assert maintain(database, metrics) is True
    database.close()
    shown = exposition(chosen.mutt_runtime_dir, "alerter").decode()
    assert "mutt_audit_archive_failures_total 1.0" in shown
    assert "mutt_audit_months_due 1.0" in shown
    assert row_count(conn) == 5


def test_what_was_archived_is_counted(make_settings: MakeSettings, chosen: Settings, archive: Path) -> None:
    write(chosen, JANUARY, 5)
    enable_pool_metrics(chosen.mutt_runtime_dir, "alerter", 0)
    metrics = AlerterMetrics()
    database = Database(chosen, SECRETS, "test")
    before = datetime.now(UTC).timestamp()
    assert maintain(database, metrics) is True
    database.close()
    shown = exposition(chosen.mutt_runtime_dir, "alerter").decode()
    assert "mutt_audit_archive_rows_total 5.0" in shown
    assert "mutt_audit_months_due 0.0" in shown
    (line,) = (each for each in shown.splitlines() if each.startswith("mutt_audit_archive_last_success"))
    assert before - 1 <= float(line.split()[1]) <= before + 60


def test_of_several_appliances_one_archives(chosen: Settings, worker: Connection, conn: Connection) -> None:
    write(chosen, JANUARY, 5)
    with closing(connect(chosen, SECRETS, "other")) as other, try_lock(other, Lock.MAINTENANCE):
        assert run_once(worker, chosen, NOW) is None
    done = run_once(worker, chosen, NOW)
    assert done is not None
    assert (done.dropped, done.archived_rows) == (("event_audit_log_2026_01",), 5)


def test_a_long_query_puts_the_drop_off_and_the_file_is_kept(
    chosen: Settings, worker: Connection, database: Database, archive: Path
) -> None:
    write(chosen, JANUARY, 5)
    with database.connection() as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event_audit_log")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            retire(worker, chosen, NOW)
        worker.rollback()
    assert len(archived_rows(archive)) == 5
    assert retire(worker, chosen, NOW).dropped == ["event_audit_log_2026_01"]


def test_a_stop_is_heard_while_a_month_is_exported(
    chosen: Settings, worker: Connection, archive: Path
) -> None:
    write(chosen, JANUARY, 5)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        retire(worker, chosen, NOW, stop)
    assert list(archive.glob("*.gz")) == []


def test_what_an_administrator_made_is_left_alone(
    chosen: Settings, worker: Connection, conn: Connection
) -> None:
    with conn.cursor() as cursor:
        cursor.execute("CREATE TABLE event_audit_log_old PARTITION OF event_audit_log DEFAULT")
        cursor.execute("CREATE TABLE event_audit_log_2019_13 (x int)")
        cursor.execute("CREATE TABLE event_audit_log_2019_01_copy (x int)")
    assert retire(worker, chosen, NOW).dropped == []
    assert "event_audit_log_old" in [part.name for part in parts(conn)]
