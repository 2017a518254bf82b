"""The audit writer against a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.audit import AuditRow, AuditWriter, RefusedRow
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.partitions import drop_partitions_before, partition_names
from mutt_appliance.store.pool import Database
from tests.conftest import Stores
from tests.support.waiting import wait_until

NOW = datetime.now(UTC)


def row(number: int, **changes: Any) -> AuditRow:
    """An audit row of its own, received `number` microseconds after NOW."""
    values: dict[str, Any] = {
        "event_id": f"event-{number}",
        "correlation_id": f"correlation-{number}",
        "received_at": NOW + timedelta(microseconds=number),
        "event_timestamp": NOW,
        "hostname": f"router{number % 7}",
        "message": f"%LINK-3-UPDOWN: Interface Gi0/{number}, changed state to down",
        "syslog_severity": 3,
        "trap_oid": None,
        "rule_id": 1,
        "handling": "Page_and_ticket",
        "environment": "prod",
        "team": "NETO",
        "alert_id": f"alert-{number}",
        "forwarded": True,
        "raw_event": f'{{"hostname":"router{number % 7}","n":{number}}}',
    }
    return AuditRow(**{**values, **changes})


@pytest.fixture
def writer(database: Database) -> AuditWriter:
    return AuditWriter(database)


def select(conn: Connection, sql: str) -> list[tuple[Any, ...]]:
    with conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def ids(conn: Connection) -> list[str]:
    return [name for (name,) in select(conn, "SELECT event_id FROM event_audit_log ORDER BY received_at")]


def test_every_field_is_read_back_as_it_was_written(writer: AuditWriter, conn: Connection) -> None:
    full = row(1, trap_oid="1.3.6.1.6.3.1.1.5.3", forwarded=False, syslog_severity=0, environment="dev")
    empty = row(
        2,
        **dict.fromkeys(["correlation_id", "event_timestamp", "syslog_severity", "rule_id", "team"]),
        alert_id=None,
        message="",
    )
    assert writer.write([full, empty]) == []
    columns = ", ".join(AuditRow._fields).replace("raw_event", "raw_event::text")
    read = [AuditRow(*r) for r in select(conn, f"SELECT {columns} FROM event_audit_log ORDER BY received_at")]
    assert read[0] == full._replace(raw_event='{"n": 1, "hostname": "router1"}')
    assert read[1] == empty._replace(raw_event='{"n": 2, "hostname": "router2"}')


@pytest.mark.parametrize(
    "text",
    [
        "quotes \" and ' and }{ , NULL",
        "back\\slash \\n \\\\ end\\",
        "line\nfeed\r\ttab",
        "é 漢字 \U0001f525 \u2028",
        "NULL",
        "%s %(x)s %%",
        "",
        " leading and trailing ",
        "\x01\x1f\x7f",
    ],
)
def test_any_text_survives(writer: AuditWriter, conn: Connection, text: str) -> None:
    assert writer.write([row(1, message=text, hostname=text, team=text)]) == []
    assert select(conn, "SELECT message, hostname, team FROM event_audit_log") == [(text, text, text)]


def test_an_empty_batch_needs_no_database(writer: AuditWriter, stores: Stores) -> None:
    assert writer.write([]) == []


def test_a_replay_writes_nothing_twice(writer: AuditWriter, conn: Connection) -> None:
    writer.write([row(1), row(2)])
    assert writer.write([row(2, message="other"), row(3), row(1), row(3)]) == []
    assert ids(conn) == ["event-1", "event-2", "event-3"]
    assert select(conn, "SELECT count(*) FROM event_audit_log WHERE message = 'other'") == [(0,)]


def test_workers_that_write_the_same_batch_at_once_write_it_once(
    database: Database, conn: Connection
) -> None:
    rows = [row(n) for n in range(500)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: AuditWriter(database).write(rows), range(8)))
    assert results == [[]] * 8
    assert len(ids(conn)) == 500


@pytest.mark.parametrize("year", [1, 1970, 2099, 9999])
def test_a_device_clock_may_say_anything(writer: AuditWriter, conn: Connection, year: int) -> None:
    before = partition_names(conn)
    stamp = datetime(year, 1, 1, tzinfo=UTC)
    assert writer.write([row(1, event_timestamp=stamp)]) == []
    assert select(conn, "SELECT event_timestamp FROM event_audit_log") == [(stamp,)]
    assert partition_names(conn) == before


def test_a_missing_month_is_made_while_writing(writer: AuditWriter, conn: Connection) -> None:
    old = NOW - timedelta(days=200)
    assert writer.write([row(1), row(2, received_at=old)]) == []
    assert ids(conn) == ["event-2", "event-1"]
    assert f"event_audit_log_{old:%Y_%m}" in partition_names(conn)


def test_partitions_dropped_under_the_writer_come_back(writer: AuditWriter, conn: Connection) -> None:
    writer.write([row(1)])
    dropped = drop_partitions_before(conn, (NOW + timedelta(days=400)).date())
    assert f"event_audit_log_{NOW:%Y_%m}" in dropped
    assert partition_names(conn) == []
    assert writer.write([row(2), row(3)]) == []
    assert ids(conn) == ["event-2", "event-3"]


def test_a_month_that_is_dropped_again_and_again_is_unavailable(
    writer: AuditWriter, monkeypatch: pytest.MonkeyPatch, conn: Connection
) -> None:
    drop_partitions_before(conn, (NOW + timedelta(days=400)).date())
    monkeypatch.setattr(writer, "_make_partitions", lambda rows: None)
    with pytest.raises(StoreUnavailable, match="dropped again and again"):
        writer.write([row(1)])


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("a NUL in a text", {"message": "a\x00b"}, "NUL"),
    ("an escaped NUL in the JSON", {"raw_event": '{"message":"a\\u0000b"}'}, "Unicode escape"),
    ("JSON that is none", {"raw_event": "{"}, "invalid input syntax for type json"),
    ("JSON nested too deep", {"raw_event": "[" * 50_000 + "]" * 50_000}, "stack depth limit"),
    ("a lone surrogate", {"message": "\ud800"}, "not valid Unicode"),
    ("a severity out of range", {"syslog_severity": 40_000}, "out of range"),
    ("a rule number out of range", {"rule_id": 2**40}, "out of range"),
    ("an unknown environment", {"environment": "staging"}, "event_audit_log_environment_check"),
    ("a host name too long for its index", {"hostname": "".join(map(chr, range(256, 8000)))}, "index row"),
]


@pytest.mark.parametrize(("changes", "why"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_row_alone_is_refused_with_its_reason(
    writer: AuditWriter, conn: Connection, changes: dict[str, Any], why: str
) -> None:
    rows = [row(n) for n in range(20)]
    rows[13] = row(13, **changes)
    refused = writer.write(rows)
    assert [r.index for r in refused] == [13]
    assert why in refused[0].reason
    assert ids(conn) == [f"event-{n}" for n in range(20) if n != 13]


def test_the_reason_does_not_quote_the_row(writer: AuditWriter) -> None:
    (refused,) = writer.write([row(1, environment="staging", message="password=hunter2")])
    assert "hunter2" not in refused.reason


def test_many_bad_rows_and_a_missing_month_in_one_batch(writer: AuditWriter, conn: Connection) -> None:
    drop_partitions_before(conn, (NOW + timedelta(days=400)).date())
    rows = [row(n, message="\x00" if n % 3 == 0 else "good") for n in range(1000)]
    refused = writer.write(rows)
    assert [r.index for r in refused] == list(range(0, 1000, 3))
    assert len(ids(conn)) == 1000 - len(refused)


def test_a_batch_of_only_bad_rows_writes_nothing(writer: AuditWriter, conn: Connection) -> None:
    refused = writer.write([row(n, raw_event="no json") for n in range(3)])
    assert [r.index for r in refused] == [0, 1, 2]
    assert all(isinstance(r, RefusedRow) for r in refused)
    assert ids(conn) == []


def test_what_the_server_cannot_do_now_is_unavailable_and_writes_nothing(
    make_settings: Callable[..., Settings], settings: Settings, conn: Connection
) -> None:
    impatient = make_settings(db_statement_timeout=0.2)
    pool = Database(impatient, Secrets(), "mutt test")
    conn.autocommit = False
    with conn.cursor() as cursor:
        cursor.execute("LOCK TABLE event_audit_log IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            AuditWriter(pool).write([row(1)])
    conn.rollback()
    assert ids(conn) == []
    assert AuditWriter(pool).write([row(1)]) == []
    pool.close()


def test_a_read_only_database_is_unavailable(
    writer: AuditWriter, database: Database, settings: Settings, conn: Connection
) -> None:
    with conn.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{settings.db_name}" SET default_transaction_read_only = on')
    with pytest.raises(StoreUnavailable):
        writer.write([row(1)])


def test_a_schema_that_is_not_there_yet_is_unavailable(make_settings: Callable[..., Settings]) -> None:
    pool = Database(make_settings(), Secrets(), "mutt test")
    with pytest.raises(StoreUnavailable, match="event_audit_log"):
        AuditWriter(pool).write([row(1)])
    pool.close()


def test_after_the_database_was_stopped_the_same_batch_goes_in(
    writer: AuditWriter, settings: Settings, stores: Stores
) -> None:
    writer.write([row(1)])
    stores.postgres.stop()
    try:
        with pytest.raises(StoreUnavailable, match="cannot connect"):
            writer.write([row(1), row(2)])
    finally:
        stores.postgres.start()
    assert writer.write([row(1), row(2)]) == []
    found = stores.postgres.execute("SELECT count(*) FROM event_audit_log", settings.db_name)
    assert found == [(2,)]


def test_a_batch_interrupted_by_a_crash_is_there_whole_or_not_at_all(
    database: Database, settings: Settings, stores: Stores
) -> None:
    batches = [[row(b * 1000 + n) for n in range(1000)] for b in range(200)]
    writer = AuditWriter(database)
    answered: list[int] = []

    def write_until_it_fails() -> None:
        for number, batch in enumerate(batches):
            writer.write(batch)
            answered.append(number)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(write_until_it_fails)
        wait_until(lambda: len(answered) >= 3, 30, "some batches are written")
        deadline = time.monotonic() + 30
        while not running.done() and time.monotonic() < deadline:
            stores.postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{settings.db_name}' AND application_name = 'mutt test'"
            )
        with pytest.raises(StoreUnavailable):
            running.result(60)
    counts = stores.postgres.execute(
        "SELECT substring(event_id FROM 7)::int / 1000 AS batch, count(*) FROM event_audit_log GROUP BY 1",
        settings.db_name,
    )
    assert {count for _, count in counts} == {1000}
    assert set(answered) <= {batch for batch, _ in counts}


def test_a_thousand_rows_are_one_statement(writer: AuditWriter, conn: Connection, stores: Stores) -> None:
    writer.write([row(n) for n in range(1000)])
    (commits,) = select(conn, "SELECT count(DISTINCT xmin::text) FROM event_audit_log")
    assert commits == (1,)
