"""From the bytes of a request to its events."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.events.admission import Unreadable
from mutt_appliance.ingestor.body import (
    BodyTooLargeError,
    BodyUnreadableError,
    split_events,
    unpack,
)

MANY = 1000
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
events = st.dictionaries(st.text(max_size=8), values, max_size=5)


@given(
    st.lists(events, min_size=2, max_size=10), st.sampled_from(["array", "ndjson", "ndjson with blank lines"])
)
def test_every_form_of_a_batch_gives_the_same_events(batch: list[dict[str, object]], form: str) -> None:
    if form == "array":
        body = json.dumps(batch, indent=1)
    else:
        body = ("\n" if form == "ndjson" else "\r\n \n").join(json.dumps(event) for event in batch) + "\n"
    assert split_events(body.encode(), MANY) == batch


@given(events)
def test_one_object_is_one_event_however_it_is_written(event: dict[str, object]) -> None:
    assert split_events(json.dumps(event, indent=2).encode(), MANY) == [event]


@given(st.binary(max_size=200))
def test_any_bytes_give_events_or_a_clear_refusal(body: bytes) -> None:
    try:
        assert split_events(body, MANY)
    except BodyUnreadableError as error:
        assert str(error)


def test_bad_lines_among_good_ones_are_told_apart() -> None:
    found = split_events(b'{"a":1}\nnot json\n{"b":2}\n{"c":', MANY)
    assert (found[0], found[2]) == ({"a": 1}, {"b": 2})
    assert isinstance(found[1], Unreadable)
    assert found[1].text == b"not json"
    assert isinstance(found[3], Unreadable)


def test_lines_that_are_json_only_together_are_bad_lines() -> None:
    found = split_events(b'{"a":"x\ny"}\n{"b":1}', MANY)
    assert [type(event) for event in found] == [Unreadable, Unreadable, dict]


def test_one_broken_document_is_one_fault() -> None:
    (fault,) = split_events(b'{\n"a": 1,\n"b": }\n', MANY)
    assert isinstance(fault, Unreadable)
    assert "line 3" in fault.reason


@pytest.mark.parametrize("body", [b"", b" \n\t", b"[]"])
def test_a_body_without_events_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadableError):
        split_events(body, MANY)


def test_too_many_events_are_refused_with_the_limit() -> None:
    with pytest.raises(BodyTooLargeError, match="INGEST_MAX_BATCH_EVENTS=2"):
        split_events(b"[{},{},{}]", 2)


@given(st.binary(max_size=2000))
def test_gzip_is_undone(data: bytes) -> None:
    assert unpack(gzip.compress(data), "gzip", 4000) == data


def test_gzip_of_several_members_is_undone_whole() -> None:
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two"), "x-gzip", 100) == b"one two"


def test_a_gzip_bomb_is_stopped_at_the_limit() -> None:
    with pytest.raises(BodyTooLargeError, match="INGEST_MAX_BODY_BYTES=1000"):
        unpack(gzip.compress(b"\0" * 50_000_000), "gzip", 1000)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"plain", "gzip"), (gzip.compress(b"cut off" * 100)[:-9], "gzip"), (b"x", "br")],
)
def test_what_is_not_gzip_is_refused(body: bytes, encoding: str) -> None:
    with pytest.raises(BodyUnreadableError):
        unpack(body, encoding, 10_000)
