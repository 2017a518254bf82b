from __future__ import annotations

import json
import uuid
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.cli.rsyslog_line import event_json, shortened


def event_of(line: bytes) -> dict[str, Any]:
    event: dict[str, Any] = orjson.loads(event_json(line, hostname="me", now="2026-11-24T00:00:00.000Z"))
    return event


def test_a_json_line_is_the_event_and_gets_an_id() -> None:
    event = event_of(b'{"timestamp":"t","hostname":"h","message":"m","extra":[1,{"a":null}]}')
    assert uuid.UUID(event.pop("event_id")).version == 7
    assert event == {"timestamp": "t", "hostname": "h", "message": "m", "extra": [1, {"a": None}]}


def test_the_id_of_the_line_is_kept() -> None:
    assert event_of(b'{"event_id":"0A1B","message":"m"}')["event_id"] == "0A1B"


@pytest.mark.parametrize("useless", [b'""', b"null", b"7", b"[]"])
def test_an_id_that_is_none_is_replaced(useless: bytes) -> None:
    assert uuid.UUID(event_of(b'{"event_id":' + useless + b',"message":"m"}')["event_id"]).version == 7


@pytest.mark.parametrize(
    "line", [b"%LINK-3-UPDOWN: down", b'{"message": "cut o', b"[1,2]", b'"text"', b"7", b""]
)
def test_a_line_that_is_no_json_object_is_the_message(line: bytes) -> None:
    event = event_of(line)
    assert (event["message"], event["hostname"]) == (line.decode(), "me")
    assert event["timestamp"] == "2026-11-24T00:00:00.000Z"


def test_the_space_between_tag_and_message_is_taken_off() -> None:
    assert event_of(b'{"message":"  two"}')["message"] == " two"


def test_nul_bad_utf8_surrogates_and_control_characters_are_made_harmless() -> None:
    assert event_of(b'{"message":"a\\u0000b"}')["message"] == "a�b"
    assert event_of(b'{"message":"a\xffb"}')["message"] == "a�b"
    assert event_of(b'{"message":"a\\ud800b"}')["message"] == "a�b"
    assert event_of(b'{"message":"a\tb"}')["message"] == "a\tb"
    assert event_of(b'{"message":"m","x":{"k\\u0000":["\\u0000"]}}')["x"] == {"k�": ["�"]}


def test_numbers_beyond_64_bits_do_not_stop_the_event() -> None:
    assert event_of(b'{"message":"m","counter":99999999999999999999999}')["counter"] == 1e23
    assert event_of(b'{"message":"a\tb","counter":99999999999999999999999}')["counter"] == "9" * 23


def test_nesting_without_end_is_a_message() -> None:
    line = b"[" * 100_000
    assert event_of(line)["message"] == line.decode()
    assert isinstance(event_of(b'{"message":' + line)["message"], str)


@given(st.binary())
def test_every_line_becomes_an_event_the_ingestor_can_read(line: bytes) -> None:
    body = event_json(line, hostname="me", now="now")
    event = orjson.loads(body)
    assert b"\n" not in body
    assert event["event_id"]


VALUES = st.none() | st.text(max_size=20) | st.integers() | st.lists(st.text(max_size=5), max_size=3)


@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=8))
def test_every_object_survives(fields: dict[str, Any]) -> None:
    event = event_of(json.dumps(fields).encode())
    assert event["event_id"]
    assert len(event) >= len({key for key in fields if "\x00" not in key} - {"event_id"})


def test_a_shortened_event_keeps_its_identity() -> None:
    body = event_json(
        json.dumps(
            {"message": "x" * 10_000, "hostname": "h", "timestamp": "t", "event_id": "e", "z": "y" * 9999}
        ).encode(),
        hostname="me",
        now="now",
    )
    event = orjson.loads(shortened(body))
    assert event == {
        "timestamp": "t", "hostname": "h", "event_id": "e", "message": "x" * 256, "message_characters": 10_000,
    }  # fmt: skip
