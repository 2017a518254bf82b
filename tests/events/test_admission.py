"""Which events are let in, and what is added to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.events.admission import Admission, Limits, Unreadable, admit

LIMITS = Limits(("timestamp", "message", "hostname"), 10_000, dedup=True)
NOW = "2026-11-24T02:00:00.000000Z"
GOOD: dict[str, Any] = {"timestamp": "2026-11-24T01:59:59Z", "hostname": "r1", "message": "link down"}


def admit_one(event: Any, limits: Limits = LIMITS, **more: Any) -> Admission:
    """Admit one event of a request."""
    return admit([event], limits, "corr", NOW, more.get("may_hold_nul", True))


def admitted(**fields: Any) -> dict[str, Any]:
    """The event that is queued for a good one with `fields` changed."""
    admission = admit_one({**GOOD, **fields})
    assert admission.refused == []
    queued: dict[str, Any] = json.loads(admission.events[0][1])
    return queued


def reason_of(event: Any) -> str:
    """Why an event is refused."""
    admission = admit_one(event)
    assert admission.events == []
    assert json.loads(admission.dead[0])["reason"] == admission.refused[0].reason
    return admission.refused[0].reason


def test_ids_and_the_time_of_receipt_are_added_and_unknown_fields_kept() -> None:
    event = admitted(facility="local7", nested={"a": [1]})
    assert event["correlation_id"] == "corr"
    assert event["received_at"] == NOW
    assert event["event_id"][14] == "7", "a UUID of version 7 sorts by time"
    assert (event["facility"], event["nested"]) == ("local7", {"a": [1]})


def test_an_id_of_the_sender_is_kept_and_digested_for_deduplication() -> None:
    one, again = admit_one({**GOOD, "event_id": "mine"}), admit_one({**GOOD, "event_id": "mine"})
    assert json.loads(one.events[0][1])["event_id"] == "mine"
    assert one.events[0][0] == again.events[0][0] != b""
    assert admit_one(dict(GOOD)).events[0][0] == b""


def test_without_a_window_there_is_no_digest() -> None:
    off = Limits(LIMITS.required, LIMITS.max_event_bytes, dedup=False)
    assert admit_one({**GOOD, "event_id": "mine"}, off).events[0][0] == b""


def test_a_correlation_id_of_the_event_goes_before_that_of_the_request() -> None:
    assert admitted(correlation_id="own")["correlation_id"] == "own"


@pytest.mark.parametrize(
    ("given_severity", "stored"), [(3, 3), ("err", 3), ("Error", 3), ("7", 7), ("EMERG", 0), (None, None)]
)
def test_severity_is_a_number_or_a_name(given_severity: object, stored: int | None) -> None:
    assert admitted(syslog_severity=given_severity)["syslog_severity"] == stored


@pytest.mark.parametrize("severity", [8, -1, 3.0, True, "fatal", "", "³", [3], {"n": 3}])
def test_any_other_severity_is_refused_with_what_is_allowed(severity: object) -> None:
    assert "warning" in reason_of({**GOOD, "syslog_severity": severity})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"message": None}, "message is missing"),
        ({"hostname": ""}, "hostname is empty"),
        ({"message": 5}, "message must be text"),
        ({"hostname": ["r1"]}, "hostname must be text"),
        ({"timestamp": {}}, "timestamp must be text"),
        ({"hostname": "h" * 256}, "256 characters"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": 12}, "event_id"),
        ({"event_id": "a\nb"}, "event_id"),
        ({"event_id": "x" * 129}, "event_id"),
        ({"correlation_id": {}}, "correlation_id"),
        ({"trap_oid": "linkDown"}, "trap_oid"),
        ({"trap_oid": 1.3}, "trap_oid"),
        ({"message": "x" * 20_000}, "INGEST_MAX_EVENT_BYTES=10000"),
        ({"message": "a\x00b"}, "NUL"),
        ({"deep\x00": 1}, "NUL"),
        ({"list": [{"k": "\x00"}]}, "NUL"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], word: str) -> None:
    assert word in reason_of({**GOOD, **fields})


@pytest.mark.parametrize("event", [5, "text", None, True, [], [GOOD], 1.5])
def test_what_is_no_object_is_refused(event: object) -> None:
    assert "must be a JSON object" in reason_of(event)


def test_a_number_is_a_timestamp_too() -> None:
    assert admitted(timestamp=1763949600)["timestamp"] == 1763949600


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_deep_nesting_is_refused_and_its_dead_letter_is_small() -> None:
    assert admit_one({**GOOD, "n": nested(200)}).refused == []
    assert "nested too deeply" in reason_of({**GOOD, "n": nested(300)})


def test_a_part_that_is_not_json_keeps_its_text() -> None:
    admission = admit_one(Unreadable(b"{broken \xff", "not valid JSON: x"))
    letter = json.loads(admission.dead[0])
    assert letter["payload"] == "{broken \N{REPLACEMENT CHARACTER}"
    assert letter["source"] == "ingest"


def test_a_huge_refused_event_is_kept_cut_off() -> None:
    assert len(admit_one({**GOOD, "message": "x" * 10_000_000}).dead[0]) < 100_000


def test_what_only_mutt_may_set_is_dropped() -> None:
    assert "mutt_meta" not in admitted(mutt_meta={"kind": "unhandled"})


def test_good_and_bad_events_of_one_request_are_told_apart_by_place() -> None:
    admission = admit([dict(GOOD), {}, 7, dict(GOOD)], LIMITS, "c", NOW, may_hold_nul=False)
    assert len(admission.events) == len(admission.event_ids) == 2
    assert [refusal.index for refusal in admission.refused] == [1, 2]
    assert len(admission.dead) == 2


def test_required_fields_are_configurable() -> None:
    limits = Limits(("message", "site"), 10_000, dedup=True)
    assert admit_one({"message": "m", "site": "s"}, limits).refused == []
    assert admit_one({"message": "m"}, limits).refused[0].reason == "site is missing"


def test_a_trap_line_gives_its_oid() -> None:
    line = (
        "<UNKNOWN> [UDP: [10.0.0.5]:40123->[10.0.0.1]:162]:\n.1.3.6.1.2.1.1.3.0 = Timeticks: (4200) 0:00:42.00"
        "\t.1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.6.3.1.1.5.3"
    )
    assert admitted(message=line)["trap_oid"] == "1.3.6.1.6.3.1.1.5.3"


@given(st.dictionaries(st.sampled_from([*GOOD, "syslog_severity", "event_id", "trap_oid", "x"]), st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3), max_leaves=6)))  # fmt: skip # noqa: E501
def test_any_object_is_either_queued_or_refused_with_a_reason(event: dict[str, Any]) -> None:
    admission = admit_one(event)
    assert len(admission.events) + len(admission.refused) == 1
    assert all(refusal.reason for refusal in admission.refused)


@pytest.mark.parametrize(
    ("traceparent", "kept"), [("00-a-b-01", "00-a-b-01"), ("", "absent"), (None, "forged")]
)
def test_with_traces_an_event_has_the_span_of_its_request_and_none_of_its_sender(
    traceparent: str | None, kept: str
) -> None:
    event = {**GOOD, "mutt_traceparent": "forged"}
    admission = admit([event, "no object"], LIMITS, "corr", NOW, False, traceparent)
    assert len(admission.refused) == 1
    assert json.loads(admission.events[0][1]).get("mutt_traceparent", "absent") == kept
