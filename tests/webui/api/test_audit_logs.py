"""/api/v1/audit-logs on real stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mutt_appliance.config import Settings
from tests.support.audit import audit_row, write_audit_rows
from tests.webui.conftest import Api

START = datetime(2026, 11, 20, 12, 0, 0, 250, tzinfo=UTC)
COUNT = 120


@pytest.fixture
def filled(api: Api, settings: Settings) -> Api:
    """120 events, one a minute; every third from b, every fourth by rule 2."""
    write_audit_rows(
        settings,
        (
            audit_row(
                number,
                received_at=START + timedelta(minutes=number),
                hostname="b" if number % 3 == 0 else "a",
                rule_id=2 if number % 4 == 0 else 1,
            )
            for number in range(COUNT)
        ),
    )
    return api


def page(api: Api, query: str = "") -> dict[str, Any]:
    answer = api("GET", f"/audit-logs{query}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def numbers(document: dict[str, Any]) -> list[int]:
    return [int(item["event_id"][1:]) for item in document["items"]]


def test_the_first_page_has_the_newest_events(filled: Api) -> None:
    first = page(filled)
    assert (first["page"], first["limit"]) == (1, 50)
    assert numbers(first) == list(range(119, 69, -1))
    assert first["items"][0] == {
        "event_id": "e119", "received_at": "2026-11-20T13:59:00.000250Z", "event_timestamp": None,
        "correlation_id": "c", "hostname": "a", "message": "message 119", "syslog_severity": 3, "trap_oid": None,
        "rule_id": 1, "handling": "Ticket_only", "environment": "prod", "team": "NETO", "alert_id": "a119",
        "forwarded": True,
    }  # fmt: skip


def test_numbers_and_cursors_lead_to_the_same_pages(filled: Api) -> None:
    second = page(filled, "?page=2&limit=40")
    cursor = page(filled, "?limit=40")["next_cursor"]
    followed = page(filled, f"?limit=40&cursor={cursor}")
    assert followed["items"] == second["items"]
    third = page(filled, f"?limit=40&cursor={followed['next_cursor']}")
    assert numbers(third) == list(range(39, -1, -1))
    assert third["next_cursor"] is None
    assert page(filled, "?page=4&limit=40")["items"] == []


def test_filters_of_the_specification(filled: Api) -> None:
    assert numbers(page(filled, "?hostname=b&limit=2")) == [117, 114]
    assert numbers(page(filled, "?rule_id=2&limit=2")) == [116, 112]
    day = "?start_date=2026-11-20T12:10:00&end_date=2026-11-20T12:13:00Z"
    assert numbers(page(filled, day)) == [12, 11, 10]
    assert numbers(page(filled, "?start_date=2026-11-20T14:58:00%2B01:00")) == [119, 118]
    assert page(filled, "?start_date=2026-11-21")["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=201", "query.limit"),
        ("?page=0", "query.page"),
        ("?page=1000&limit=200", "query.page"),
        ("?cursor=%C3%BC", "query.cursor"),
        ("?cursor=bm9uZQ", "query.cursor"),
        ("?start_date=soon", "query.start_date"),
        ("?hostname=a%00", "query.hostname"),
    ],
)
def test_what_is_wrong_is_named(api: Api, query: str, field: str) -> None:
    answer = api("GET", f"/audit-logs{query}")
    assert (answer.status_code, [fault["field"] for fault in answer.json()["errors"]]) == (422, [field])
