"""What others put into the queues, and rules that cannot work: dead letters and reports, and the line goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.line import MATCHED, Line, event, new_id
from tests.support.rules import add_rules, reload_rules, rule
from tests.support.waiting import wait_until

ENVIRONMENT = {"UNHANDLED_THRESHOLD": "1", "REGEX_TIMEOUT_MS": "50", "MOOG_MAX_RETRIES": "1"}
RECEIVED_AT = "2026-11-24T02:00:00.000000Z"


@pytest.fixture(autouse=True)
def _nothing_breaks(line: Line) -> Iterator[None]:
    """After each test the line still works, nothing is stuck, and no process had to be started again."""
    before = line.appliance.children()
    yield
    line.good_event_passes()
    for key in (
        "mutt:ingest_queue",
        "mutt:alert_queue",
        *line.redis.scan_iter("mutt:processing:*", _type="list"),
    ):
        wait_until(lambda key=key: not line.redis.llen(key), 10, f"{key!r} is empty")  # type: ignore[misc]
    assert line.appliance.children() == before, line.appliance.log_tail()
    assert "Traceback" not in line.appliance.log_path.read_text()


@pytest.mark.parametrize("stage", ["alerter", "moog"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"test-message-1",
        b"",
        b" ",
        b"[]",
        b"5",
        b"null",
        b"{}{}",
        b"1,2",
        b'{"a":1',
        b'"b":2}',
        b'"text"',
        b"\xff\xfe\x00",
        b'{"message": "\xff"}',
        b'{"message": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
    ids=lambda raw: repr(raw[:16]),
)
def test_what_is_no_json_object_is_a_dead_letter_with_its_reason(
    line: Line, stage: str, garbage: bytes
) -> None:
    queue = {"alerter": "mutt:ingest_queue", "moog": "mutt:alert_queue"}[stage]
    before = line.redis.llen(f"mutt:dlq:{stage}")
    line.redis.lpush(queue, garbage)
    wait_until(
        lambda: line.redis.llen(f"mutt:dlq:{stage}") == before + 1,
        15,
        f"a dead letter; {line.appliance.log_tail()}",
    )
    letter = line.dead(stage)[0]
    assert letter["reason"]
    assert letter["failed_at"].endswith("Z")
    assert letter["source"] == stage
    assert "payload" in letter


def as_queued(**fields: object) -> dict[str, Any]:
    """An event as the ingestor queues it."""
    return event(
        **{"event_id": new_id("poison"), "correlation_id": "c-1", "received_at": RECEIVED_AT, **fields}
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": None},
        {"event_id": 5},
        {"message": 5},
        {"message": {"a": []}},
        {"hostname": ["core-1"]},
        {"trap_oid": 1.3},
        {"received_at": None},
        {"received_at": 1700000000},
        {"received_at": "yesterday"},
        {"received_at": "2026-11-24"},
        {"received_at": "2026-11-24T02:00:00"},
        {"received_at": "0001-01-01T00:00:00Z"},
        {"received_at": "1970-01-01T00:00:00+00:00"},
        {"received_at": "9999-12-31T23:59:59.999999-12:00"},
        {"correlation_id": 5},
        {"correlation_id": {"a": 1}},
        {"syslog_severity": "err"},
        {"syslog_severity": 3.5},
        {"syslog_severity": True},
        {"syslog_severity": [3]},
        {"syslog_severity": {"a": 1}},
        {"syslog_severity": 99999999999},
        {"mutt_meta": 5},
        {"mutt_meta": None},
        {"mutt_meta": {"count": [], "threshold": None}},
        {"timestamp": {"a": 1}},
        {"timestamp": 1e308},
        {"message": "a\0b " + MATCHED},
        {"event_id": "i" * 5000},
    ],
    ids=lambda fields: json.dumps(fields)[:40],
)
@pytest.mark.parametrize("matched", [True, False])
def test_an_event_that_no_ingestor_let_in_is_handled_or_a_dead_letter(
    line: Line, fields: dict[str, Any], matched: bool
) -> None:
    mark = new_id("mark")
    whole = as_queued(**{"hostname": mark, "mark": mark, **fields})
    if not matched and isinstance(whole["message"], str):
        whole["message"] = f"nothing that a rule knows about {mark}"
    counters = len(list(line.redis.scan_iter("mutt:unhandled:*")))
    letters = line.redis.llen("mutt:dlq:alerter")
    line.redis.lpush("mutt:ingest_queue", json.dumps(whole))
    wait_until(
        lambda: (
            any(mark in json.dumps(letter) for letter in line.dead("alerter"))
            or line.postgres.execute(
                f"SELECT 1 FROM event_audit_log WHERE raw_event->>'mark' = '{mark}'", line.database
            )
            or len(list(line.redis.scan_iter("mutt:unhandled:*"))) > counters
            or line.redis.llen("mutt:dlq:alerter") > letters
        ),
        15,
        f"{whole} is somewhere; {line.appliance.log_tail()}",
    )


@pytest.mark.parametrize("levels", [254, 900, 990, 1010, 1020])
@pytest.mark.parametrize("message", [MATCHED, "no rule knows of this depth"])
def test_an_event_nested_to_the_limits_of_the_parsers_stops_nothing(
    line: Line, levels: int, message: str
) -> None:
    mark = new_id("deep")
    whole = json.dumps(as_queued(event_id=mark, hostname=mark, message=message))
    line.redis.lpush("mutt:ingest_queue", f'{whole[:-1]},"deep":{"[" * levels}{"]" * levels}}}')
    wait_until(
        lambda: (
            line.delivered(mark)
            or list(line.redis.scan_iter(f"mutt:unhandled*:{mark}:*"))
            or any(mark in json.dumps(letter) for letter in line.dead("alerter"))
        ),
        15,
        f"delivered or dead; {line.appliance.log_tail()}",
    )


@pytest.mark.parametrize(
    "alert",
    [
        {},
        {"alert_id": 5},
        {"alert_id": "x", "event": 5, "hostname": {}, "message": None, "severity": "high", "rule_id": [1]},
        {"alert_id": "y", "delivery": 5},
        {"alert_id": "z", "delivery": {"attempts": "many"}},
        {"alert_id": "w", "delivery": {"attempts": -3, "first_failed_at": {}}},
        {"alert_id": "v", "event": {"varbinds": 5, "mutt_meta": 5, "timestamp": []}, "received_at": []},
        {
            "alert_id": "u",
            "event": {"varbinds": {"1.3": {"a": [1]}}},
            "received_at": "9999-12-31T23:59:59-12:00",
        },
        {"alert_id": "t", "event": {"varbinds": [[1], {"oid": None}, "x"], "trap_oid": 5}},
        {"alert_id": "s", "message": "m" * 2_000_000},
        {"alert_id": "r", "hostname": "h" * 5000, "rule_id": 10**18},
    ],
    ids=lambda alert: json.dumps(alert)[:40],
)
def test_an_alert_that_no_alerter_made_is_sent_or_a_dead_letter(line: Line, alert: dict[str, Any]) -> None:
    requests, letters = len(line.moogsoft.requests), line.redis.llen("mutt:dlq:moog")
    line.redis.lpush("mutt:alert_queue", json.dumps(alert))
    wait_until(
        lambda: len(line.moogsoft.requests) > requests or line.redis.llen("mutt:dlq:moog") > letters,
        15,
        f"sent or dead; {line.appliance.log_tail()}",
    )


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(a+)+$", "a" * 5000 + "!"),
        (r"(a|aa)+$", "a" * 5000 + "!"),
        (r"^(\w+\s?)*$", "word " * 1000 + "!"),
        (r"(?=(a+)+b)c", "a" * 60 + "!"),
        (r"^(a+)+\1\1x$", "a" * 3000 + "!"),
        (r"(.*)(.*)(.*)(.*)\1\2\3\4z(?<!z)", "ab" * 2000 + "z"),
    ],
)
def test_a_rule_that_backtracks_without_end_holds_nothing_up(line: Line, pattern: str, message: str) -> None:
    rule_id = add_rules(line.postgres, line.database, [rule(pattern, match_type="regex", priority=1)])[0]
    reload_rules(line.appliance)
    host = new_id("slow")
    for _ in range(5):
        assert line.post(event(hostname=host, message=message)).status == 200
    line.good_event_passes()
    line.postgres.execute(f"DELETE FROM alert_rules WHERE id = {rule_id}", line.database)
    reload_rules(line.appliance)


def test_a_rule_that_takes_too_long_is_switched_off_and_reported(line: Line) -> None:
    slow = rule(r"(.*)(.*)(.*)(.*)\1\2\3\4z(?<!z)", match_type="regex", priority=1)
    (rule_id,) = add_rules(line.postgres, line.database, [slow])
    reload_rules(line.appliance)
    for _ in range(3):
        assert line.post(event(message="ab" * 2000 + "z")).status == 200
    reported = line.appliance.wait_for_log("rule switched off", timeout_secs=15, rule_id=rule_id)
    assert "50 ms" in reported[0]["reason"]
    line.postgres.execute(f"DELETE FROM alert_rules WHERE id = {rule_id}", line.database)
    reload_rules(line.appliance)


def test_a_rule_that_does_not_compile_is_reported_and_the_others_go_on(line: Line) -> None:
    rule_id = add_rules(line.postgres, line.database, [rule("(unclosed", match_type="regex", priority=1)])[0]
    reload_rules(line.appliance)
    assert line.appliance.logged("rule left out", rule_id=rule_id)
    line.good_event_passes()
    line.postgres.execute(f"DELETE FROM alert_rules WHERE id = {rule_id}", line.database)
    reload_rules(line.appliance)
