"""What becomes of the events of a batch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mutt_appliance.alerter.batch import Batch, BatchProcessor
from mutt_appliance.rules.patterns import PatternHasher
from mutt_appliance.rules.ruleset import RuleSet
from mutt_appliance.store.rules import RuleData
from tests.rules.oracle import make_rule

DATA = RuleData(
    rules=(
        make_rule(1, match_string="link down", team_assignment="NETO"),
        make_rule(2, match_string="noise", prod_handling="Suppress"),
        make_rule(3, match_type="oid_prefix", trap_oid="1.3.6.1.4.1.9"),
    )
)


def event(number: int, message: str, **fields: Any) -> bytes:
    base = {
        "event_id": f"e{number}",
        "correlation_id": "c1",
        "received_at": "2026-11-24T02:00:00.123456Z",
        "timestamp": "1970-01-01T00:00:00Z",
        "hostname": "r1",
        "message": message,
        "syslog_severity": 3,
    }
    return json.dumps({**base, **fields}).encode()


def process(*items: bytes) -> Batch:
    return BatchProcessor(RuleSet(DATA), "DEFAULT", PatternHasher()).process(list(items))


def test_a_matched_event_is_audited_and_alerted_with_the_whole_event() -> None:
    item = event(1, "link down on Gi0/1", vendor={"x": [1, None]})
    batch = process(item)
    (row,) = batch.rows
    assert row.received_at == datetime(2026, 11, 24, 2, 0, 0, 123456, UTC)
    assert row.event_timestamp == datetime(1970, 1, 1, tzinfo=UTC)
    assert (row.rule_id, row.team, row.handling, row.environment) == (1, "NETO", "Page_and_ticket", "prod")
    assert row.raw_event == item.decode()
    (alert_json,) = batch.alerts_to_send()
    alert = json.loads(alert_json)
    assert alert["event"] == json.loads(item)
    assert (alert["alert_id"], alert["event_id"], alert["severity"]) == (row.alert_id, "e1", 3)


def test_processing_a_batch_again_makes_the_same_alerts() -> None:
    item = event(1, "link down")
    assert process(item).alerts == process(item).alerts


def test_a_suppressed_event_is_audited_only() -> None:
    batch = process(event(1, "noise"))
    assert batch.rows[0].forwarded is False
    assert batch.rows[0].alert_id is None
    assert batch.alerts_to_send() == []


def test_unmatched_events_are_counted_by_host_and_pattern() -> None:
    batch = process(
        event(0, "link down"), event(1, "session 1 closed"), event(2, "session 22 closed"), event(3, "other"),
        event(4, "session 3 closed", hostname="r2"),
    )  # fmt: skip
    counts = [(count.hostname, count.amount, count.sample) for count in batch.unhandled]
    assert counts == [("r1", 2, 1), ("r1", 1, 3), ("r2", 1, 4)]
    assert batch.unhandled_events == 4


@pytest.mark.parametrize(
    "item",
    [
        b"test-message-1", b"[]", b"5", b'"text"', b"null", b"{}", b"\xff\xfe", b"", b'{"event_id": 5}',
        b'{"event_id":"x","message":7}', b'{"event_id":"x","hostname":{}}', b'{"event_id":"x","trap_oid":1}',
        b'{"event_id":"x","hostname":"h","message":"link down"}',
        b'{"event_id":"x","hostname":"h","message":"link down","received_at":"never"}', b"1,2",
    ],
)  # fmt: skip
def test_what_is_no_event_becomes_a_dead_letter_and_stops_nothing(item: bytes) -> None:
    batch = process(event(1, "link down"), item, event(2, "link down"))
    assert [row.event_id for row in batch.rows] == ["e1", "e2"]
    (letter,) = batch.dead
    assert json.loads(letter)["reason"].startswith("not an event: ")


def test_a_trap_is_matched_by_its_oid() -> None:
    assert process(event(1, "any", trap_oid="1.3.6.1.4.1.9.1")).rows[0].rule_id == 3


def test_a_meta_event_is_alerted_without_a_rule_and_not_counted_again() -> None:
    meta = {"kind": "unhandled", "count": 120, "threshold": 100, "counter": "k"}
    batch = process(event(1, "strange thing", mutt_meta=meta))
    (row,) = batch.rows
    assert (row.rule_id, row.team, row.forwarded) == (None, "DEFAULT", True)
    assert "120 events" in row.message
    assert "strange thing" in row.message
    assert batch.unhandled == []


def test_a_row_the_database_refuses_becomes_a_dead_letter_and_sends_no_alert() -> None:
    batch = process(event(1, "link down"), event(2, "link down"))
    batch.without_refused({0: "invalid value"})
    assert [json.loads(alert)["event_id"] for alert in batch.alerts_to_send()] == ["e2"]
    letter = json.loads(batch.dead[0])
    assert letter["payload"]["event_id"] == "e1"
    assert "invalid value" in letter["reason"]


def test_an_event_without_hostname_or_message_is_processed_all_the_same() -> None:
    batch = process(b'{"event_id":"x","received_at":"2026-11-24T02:00:00Z"}')
    assert batch.unhandled[0].hostname == "unknown"
