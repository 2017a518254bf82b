"""An alert in Moogsoft's two formats."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.moog import (
    NEVER_IN_SIGNATURE,
    SIGNATURE_MAX_BYTES,
    agent_time,
    cloud_event,
    lam_event,
    severity_of,
    signature_of,
)
from tests.forwarder.conftest import alert

FIELDS = Settings().moog_signature_fields
RECEIVED = "2026-11-24T02:00:00.000000Z"
RECEIVED_EPOCH = int(datetime(2026, 11, 24, 2, tzinfo=UTC).timestamp())

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
alert_fields = sorted(alert(1))
event_fields = ["timestamp", "trap_oid", "varbinds", "mutt_meta", "agent_address", "trap_uptime"]
odd_alerts = st.dictionaries(
    st.sampled_from(alert_fields),
    json_values | st.dictionaries(st.sampled_from(event_fields), json_values, max_size=4),
)


@pytest.mark.parametrize(
    ("syslog", "moog"),
    [(0, 5), (1, 5), (2, 5), (3, 4), (4, 3), (5, 2), (6, 1), (7, 1), (None, 1), (8, 1), (True, 1), ("3", 1)],
)
def test_severity_follows_the_table(syslog: object, moog: int) -> None:
    assert severity_of(syslog) == moog


def test_the_lam_object_has_the_fields_of_the_webhook_lam() -> None:
    event = lam_event(alert(1, event={"timestamp": "2026-11-24T01:59:59Z", "trap_oid": "1.3.6.1"}), FIELDS)
    assert event["signature"] == "mutt::router1::7::GigabitEthernet0/1"
    assert set(event) == {
        *("signature", "source_id", "external_id", "manager", "source", "class", "agent", "agent_location"),
        *("type", "severity", "description", "agent_time", "custom_info"),
    }
    assert event["agent_time"] == RECEIVED_EPOCH - 1
    info = event["custom_info"]
    assert {name: info[name] for name in ("event_id", "correlation_id", "rule_id", "team", "handling")} == {
        "event_id": "event-1",
        "correlation_id": "correlation-1",
        "rule_id": 7,
        "team": "NETO",
        "handling": "Page_and_ticket",
    }
    assert info["environment"] == "prod"
    assert info["trap_oid"] == "1.3.6.1"


def test_the_cloud_event_has_what_the_events_api_requires_and_tags_of_text() -> None:
    varbinds = [{"oid": "1.3.6.1.2.1.31.1.1.1.1.3", "value": "Gi0/3"}]
    event = cloud_event(alert(1, event={"trap_oid": "1.3.6.1", "varbinds": varbinds}), FIELDS)
    assert event["check"] == "rule 7 Gi0/3"
    assert event["severity"] == 4
    assert event["description"].startswith("%LINK-3-UPDOWN")
    assert event["dedupe_key"] == "mutt::router1::7::Gi0/3"
    assert event["service"] == ["NETO"]
    assert all(isinstance(value, str) for value in event["tags"].values())
    assert event["tags"]["varbinds"] == '{"1.3.6.1.2.1.31.1.1.1.1.3":"Gi0/3"}'


def test_an_unhandled_meta_alert_is_told_apart_by_its_counter() -> None:
    meta = {"kind": "unhandled", "count": 100, "counter": "mutt:unhandled:r1:abc"}
    event = lam_event(alert(1, rule_id=None, event={"mutt_meta": meta}), FIELDS)
    assert event["signature"] == "mutt::router1::::mutt:unhandled:r1:abc"
    assert event["class"] == event["type"] == "unhandled"
    assert event["custom_info"]["unhandled"]["count"] == 100


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-11-24T01:59:00Z", RECEIVED_EPOCH - 60),
        ("2026-11-24T02:59:00.5+01:00", RECEIVED_EPOCH - 60),
        ("Nov 24 01:59:00", RECEIVED_EPOCH - 60),
        (RECEIVED_EPOCH - 60, RECEIVED_EPOCH - 60),
        (str(RECEIVED_EPOCH - 60), RECEIVED_EPOCH - 60),
        ("1970-01-01T00:00:00Z", RECEIVED_EPOCH),
        ("2099-01-01T00:00:00Z", RECEIVED_EPOCH),
        ("yesterday", RECEIVED_EPOCH),
        ("", RECEIVED_EPOCH),
        (None, RECEIVED_EPOCH),
        ([1], RECEIVED_EPOCH),
    ],
)
def test_agent_time_is_the_devices_unless_it_is_nonsense(timestamp: object, expected: int) -> None:
    assert agent_time({"received_at": RECEIVED, "event": {"timestamp": timestamp}}) == expected


def test_new_year_belongs_to_the_year_nearest_to_the_arrival() -> None:
    received = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC)
    given_time = {"received_at": received.isoformat(), "event": {"timestamp": "Dec 31 23:59:59"}}
    assert agent_time(given_time) == int(received.timestamp()) - 6


def test_without_any_time_it_is_now() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert agent_time({}, now) == int(now.timestamp())


@given(st.text(), st.text(), st.integers() | st.text(max_size=2000))
def test_a_signature_is_stable_and_bounded(hostname: str, message: str, rule_id: object) -> None:
    one = {"hostname": hostname, "message": message, "rule_id": rule_id, "event": {}}
    fields = ("hostname", "rule_id", "object", "message")
    signature = signature_of(one, fields)
    assert signature == signature_of(dict(reversed(one.items())), fields)
    assert len(signature.encode()) <= SIGNATURE_MAX_BYTES
    assert signature.startswith("mutt::")


@given(json_values, json_values, st.sampled_from(sorted(NEVER_IN_SIGNATURE)))
def test_severity_and_times_never_change_a_signature(one: Any, other: Any, field: str) -> None:
    first = alert(1, **{field: one}) | {"severity": 1, "received_at": "2026-11-24T02:00:00Z"}
    second = alert(1, **{field: other}) | {"severity": 6, "received_at": "2026-11-25T02:00:00Z"}
    fields = (*FIELDS, *NEVER_IN_SIGNATURE)
    assert signature_of(first, fields) == signature_of(second, fields)


def test_long_signatures_that_differ_only_at_the_end_stay_different() -> None:
    one, other = (signature_of({"hostname": "h" * 2000 + end}, ("hostname",)) for end in "ab")
    assert one != other
    assert len(one.encode()) <= SIGNATURE_MAX_BYTES


def test_a_signature_cut_inside_a_character_is_still_text_within_its_bytes() -> None:
    assert len(signature_of({"hostname": "€" * 1000}, ("hostname",)).encode()) <= SIGNATURE_MAX_BYTES


def test_a_field_of_the_event_can_be_part_of_the_signature() -> None:
    one = alert(1, event={"trap_oid": "1.3.6.1.4.1.9"})
    assert signature_of(one, ("hostname", "trap_oid")) == "mutt::router1::1.3.6.1.4.1.9"


@given(odd_alerts)
def test_any_object_becomes_json_in_both_formats(odd: dict[str, Any]) -> None:
    for build in (lam_event, cloud_event):
        event = json.loads(orjson.dumps(build(odd, FIELDS)))
        assert 1 <= event["severity"] <= 5
        assert isinstance(event["description"], str)
