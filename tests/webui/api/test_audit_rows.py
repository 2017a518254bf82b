"""Exports, single rows and the search of the audit log, on real stores."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.webui.api import audit_rows
from mutt_appliance.webui.api.audit_rows import CHUNK_ROWS
from tests.conftest import Stores
from tests.support.audit import audit_row, write_audit_rows
from tests.webui.conftest import Api

HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> \u202e\x1b[31m \"q\", 100% a_b\\"
NOW = datetime.now(UTC)


@pytest.fixture
def filled(api: Api, settings: Settings) -> Api:
    """Three events: a hostile one, a trap, and one of another host a week ago."""
    write_audit_rows(
        settings,
        [
            audit_row(
                1, message=HOSTILE, raw_event=json.dumps({"message": HOSTILE, "deep": [[1]]}), received_at=NOW
            ),
            audit_row(2, trap_oid="1.3.6.1", received_at=NOW - timedelta(hours=1), team="CORE"),
            audit_row(
                3, hostname="r3", received_at=NOW - timedelta(days=7), handling="Log_only", environment="dev"
            ),
        ],
    )
    return api


def test_a_row_has_the_event_as_it_was_received(filled: Api) -> None:
    row = filled("GET", "/audit-logs/e001").json()
    assert row["message"] == HOSTILE
    assert row["raw_event"] == {"message": HOSTILE, "deep": [[1]]}
    hinted = filled("GET", f"/audit-logs/e001?received_at={quote(row['received_at'])}")
    assert hinted.json() == row
    assert filled("GET", "/audit-logs/e001?received_at=2020-01-01").status_code == 404
    assert filled("GET", "/audit-logs/none").status_code == 404


def test_rows_are_filtered_by_what_was_decided(filled: Api) -> None:
    def ids(query: str) -> list[str]:
        return [row["event_id"] for row in filled("GET", f"/audit-logs?{query}").json()["items"]]

    assert ids("team=CORE") == ["e002"]
    assert ids("handling=Log_only") == ["e003"]
    assert ids("environment=prod") == ["e001", "e002"]


def test_an_export_as_csv_holds_every_row_and_no_formula(filled: Api) -> None:
    answer = filled("GET", "/audit-logs/export?format=csv")
    assert 'filename="mutt-audit-log.csv"' in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    assert [row["event_id"] for row in rows] == ["e001", "e002", "e003"]
    assert rows[0]["message"] == "'" + HOSTILE
    assert datetime.fromisoformat(rows[0]["received_at"]) == NOW


def test_an_export_as_ndjson_is_filtered_like_the_pages(filled: Api) -> None:
    answer = filled("GET", "/audit-logs/export?format=ndjson&hostname=r1")
    rows = [json.loads(line) for line in answer.content.splitlines()]
    assert [row["event_id"] for row in rows] == ["e001", "e002"]
    assert rows[0]["message"] == HOSTILE


def test_a_long_export_is_whole_and_in_order(api: Api, settings: Settings) -> None:
    count = 2 * CHUNK_ROWS + 3
    write_audit_rows(
        settings, (audit_row(n, received_at=NOW - timedelta(seconds=n // 2)) for n in range(count))
    )
    rows = [json.loads(line) for line in api("GET", "/audit-logs/export?format=ndjson").content.splitlines()]
    assert len({row["event_id"] for row in rows}) == len(rows) == count
    times = [row["received_at"] for row in rows]
    assert times == sorted(times, reverse=True)


def test_an_export_of_nothing_has_its_head(api: Api) -> None:
    assert api("GET", "/audit-logs/export").text.startswith("event_id,received_at,")
    assert api("GET", "/audit-logs/export?format=ndjson").content == b""


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("<SCRIPT>alert(1)", ["e001"]),
        ("100% a_b\\", ["e001"]),
        ("100_", []),
        ("e002", ["e002"]),
        ("a1", ["e001"]),
        ("c", ["e001", "e002"]),
        ("message", ["e002"]),
    ],
)
def test_events_are_found_by_a_part_of_the_message_or_an_id(
    filled: Api, query: str, found: list[str]
) -> None:
    answer = filled("GET", f"/events/search?q={quote(query)}")
    assert answer.status_code == 200, answer.text
    assert [row["event_id"] for row in answer.json()["items"]] == found


def test_a_search_is_paged_and_bounded_in_time(filled: Api) -> None:
    since = quote((NOW - timedelta(days=8)).isoformat())
    first = filled("GET", f"/events/search?q=c&since={since}&limit=2").json()
    assert len(first["items"]) == 2
    rest = filled("GET", f"/events/search?q=c&since={since}&limit=2&cursor={first['next_cursor']}").json()
    assert [row["event_id"] for row in rest["items"]] == ["e003"]
    assert rest["next_cursor"] is None
    assert (
        filled("GET", f"/events/search?q=c&since={since}&hostname=r3").json()["items"][0]["event_id"]
        == "e003"
    )
    assert filled("GET", "/events/search?q=c&since=2026-01-02&until=2026-01-01").status_code == 422


def test_a_search_that_takes_too_long_says_what_to_do(
    filled: Api, monkeypatch: pytest.MonkeyPatch, stores: Stores, settings: Settings
) -> None:
    monkeypatch.setattr(audit_rows, "SEARCH_MS", 200)
    # Whoever holds the table makes the search wait as a long one would.
    with stores.postgres.connect(settings.db_name) as holder, holder.cursor() as cursor:
        holder.autocommit = False
        cursor.execute("BEGIN; LOCK TABLE event_audit_log IN ACCESS EXCLUSIVE MODE")
        answer: Any = filled("GET", "/events/search?q=c")
        holder.rollback()
    assert answer.status_code == 422
    assert "narrow the time" in answer.json()["detail"]
