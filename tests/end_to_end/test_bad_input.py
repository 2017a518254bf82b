"""Whatever is posted, the answer is clear, nothing gets stuck, and the next good event reaches the webhook."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.support.line import MATCHED, Line, event, new_id
from tests.support.waiting import wait_until

BOMB_BYTES = 200 << 20
ENVIRONMENT = {"INGEST_MAX_BODY_BYTES": str(16 << 20), "INGEST_BODY_TIMEOUT": "2"}


@pytest.fixture(autouse=True)
def _nothing_breaks(line: Line) -> Iterator[None]:
    """After each test the line still works, with the very processes it had before."""
    before = line.appliance.children()
    yield
    line.good_event_passes()
    assert line.appliance.children() == before, line.appliance.log_tail()
    assert "Traceback" not in line.appliance.log_path.read_text()


def nested(levels: int) -> bytes:
    """An event with a field that is so many arrays deep."""
    field = b"[" * levels + b"]" * levels
    return json.dumps(event(event_id=new_id("deep"))).encode()[:-1] + b',"deep":' + field + b"}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "the body is empty", id="nothing"),
        pytest.param(b" \n\t ", "the body is empty", id="blanks"),
        pytest.param(b"[]", "the array is empty", id="empty array"),
        pytest.param(b"{", "not valid JSON", id="half an object"),
        pytest.param(b'{"a":1,}', "not valid JSON", id="comma too many"),
        pytest.param(b"hello", "not valid JSON", id="no JSON"),
        pytest.param(b"5", "this is a number", id="number"),
        pytest.param(b"null", "this is null", id="null"),
        pytest.param(b'"text"', "this is text", id="text"),
        pytest.param(b"[[]]", "this is an array", id="array in an array"),
        pytest.param(b"{}", "timestamp is missing", id="empty object"),
        pytest.param(json.dumps(event(message=5)).encode(), "message must be text", id="message a number"),
        pytest.param(json.dumps(event(message="")).encode(), "message is empty", id="message empty"),
        pytest.param(
            json.dumps(event(hostname={})).encode(), "hostname must be text", id="hostname an object"
        ),
        pytest.param(json.dumps(event(hostname="h" * 300)).encode(), "hostname has 300", id="hostname long"),
        pytest.param(
            json.dumps(event(timestamp=[1])).encode(), "timestamp must be text", id="timestamp array"
        ),
        pytest.param(json.dumps(event(syslog_severity=9)).encode(), "syslog_severity", id="severity 9"),
        pytest.param(
            json.dumps(event(syslog_severity="bad")).encode(), "syslog_severity", id="severity name"
        ),
        pytest.param(
            json.dumps(event(syslog_severity=1e300)).encode(), "syslog_severity", id="severity huge"
        ),
        pytest.param(json.dumps(event(trap_oid="1.x")).encode(), "trap_oid", id="OID with a letter"),
        pytest.param(json.dumps(event(event_id=7)).encode(), "event_id", id="event_id a number"),
        pytest.param(json.dumps(event(event_id="i" * 200)).encode(), "event_id", id="event_id long"),
        pytest.param(json.dumps(event(correlation_id=[])).encode(), "correlation_id", id="correlation_id"),
        pytest.param(json.dumps(event(message="a\0b")).encode(), "NUL", id="NUL escaped"),
        pytest.param(json.dumps(event(extra={"k\0": 1})).encode(), "NUL", id="NUL in a key"),
        pytest.param(json.dumps(event()).encode().replace(b"Gig", b"\0ig"), "not valid JSON", id="NUL raw"),
        pytest.param(
            json.dumps(event()).encode().replace(b"Gig", b"\xff\xfe"), "not valid JSON", id="no UTF-8"
        ),
        pytest.param(
            json.dumps(event(message="half \ud800 pair")).encode(), "not valid JSON", id="lone surrogate"
        ),
        pytest.param(json.dumps(event()).encode("utf-16"), "not valid JSON", id="UTF-16"),
        pytest.param(
            json.dumps(event()).encode()[:-1] + b',"n":1e999}', "not valid JSON", id="number without bounds"
        ),
        pytest.param(json.dumps(event())[:-1].encode() + b',"n":NaN}', "not valid JSON", id="NaN"),
        pytest.param(
            json.dumps(event(message="m" * (10 << 20))).encode(), "INGEST_MAX_EVENT_BYTES", id="10 MB"
        ),
        pytest.param(nested(255), "nested too deeply", id="255 levels"),
        pytest.param(nested(2_000), "not valid JSON", id="2,000 levels"),
        pytest.param(nested(100_000), "not valid JSON", id="100,000 levels"),
    ],
)
def test_a_request_that_holds_no_event_is_refused_with_its_reason(
    line: Line, body: bytes, words: str
) -> None:
    answer = line.post(body)
    assert answer.status == 400
    assert words in json.dumps(answer.body)


def test_a_refused_event_is_kept_with_its_reason(line: Line) -> None:
    mark = new_id("kept")
    answer = line.post(event(event_id=mark, syslog_severity="loud"))
    assert answer.status == 400
    letter = line.wait_for_dead("ingest", mark)
    assert letter["source"] == "ingest"
    assert letter["reason"] == answer.body["refused"][0]["reason"]
    assert letter["payload"]["event_id"] == mark


def test_an_event_of_100_levels_is_stored_as_it_is(line: Line) -> None:
    body = nested(100)
    assert line.post(body).status == 200
    event_id = json.loads(body)["event_id"]
    line.wait_delivered(event_id)
    assert line.rows(event_id)[0]["raw_event"]["deep"] == json.loads(body)["deep"]


@pytest.mark.parametrize("levels", [200, 253])
def test_what_may_be_nested_that_deep_is_delivered_or_a_dead_letter(line: Line, levels: int) -> None:
    body = nested(levels)
    assert line.post(body).status == 200
    event_id = json.loads(body)["event_id"]
    wait_until(
        lambda: line.delivered(event_id) or any(event_id in json.dumps(e) for e in line.dead("alerter")),
        15,
        "delivered or dead",
    )


@pytest.mark.parametrize(
    "number", ["1e308", "-0.0", "123456789012345678901234567890", "18446744073709551616"]
)
def test_numbers_of_any_size_in_unknown_fields_do_no_harm(line: Line, number: str) -> None:
    event_id = new_id("number")
    body = json.dumps(event(event_id=event_id)).encode()[:-1] + f',"n":{number}}}'.encode()
    assert line.post(body).status == 200
    line.wait_delivered(event_id)


@pytest.mark.parametrize("year", ["0001", "1970", "2099", "9999"])
def test_a_clock_that_is_wrong_does_not_decide_where_the_row_goes(line: Line, year: str) -> None:
    event_id = new_id("year")
    assert line.post(event(event_id=event_id, timestamp=f"{year}-01-01T00:00:00Z")).status == 200
    line.wait_delivered(event_id)
    (row,) = line.rows(event_id)
    assert row["event_timestamp"].startswith(year)
    assert not row["received_at"].startswith(year)


@pytest.mark.parametrize("timestamp", ["yesterday", "0", "1e400", "-1e300", "99999-99-99", "NaN", "inf"])
def test_a_timestamp_that_says_nothing_is_left_out(line: Line, timestamp: str) -> None:
    event_id = new_id("when")
    assert line.post(event(event_id=event_id, timestamp=timestamp)).status == 200
    line.wait_delivered(event_id)
    assert len(line.rows(event_id)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "quote \" backslash \\ apostrophe ' percent %s %(x)s brace {} {0} dollar $1",
        "tab\tnewline\nreturn\rescape\x1b[31m delete\x7f",
        "\u202eright to left, \U0001f525 and \ufeff",
        "'; DROP TABLE alert_rules; --",
    ],
)
def test_text_of_every_kind_arrives_as_it_was_sent(line: Line, text: str) -> None:
    event_id = new_id("text")
    message = f"{MATCHED} {text}"
    assert line.post(event(event_id=event_id, message=message)).status == 200
    assert line.wait_delivered(event_id)["description"] == message
    assert line.rows(event_id)[0]["message"] == message


def test_a_gzip_bomb_is_answered_before_it_is_unpacked(line: Line) -> None:
    bomb = gzip.compress(b" " * BOMB_BYTES)
    assert len(bomb) < 1 << 20
    answer = line.post(bomb, {"Content-Encoding": "gzip"})
    assert answer.status == 413
    assert "unpacks to more than INGEST_MAX_BODY_BYTES" in answer.body["error"]


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (gzip.compress(json.dumps(event()).encode())[:-12], "gzip", "ends too early"),
        (gzip.compress(json.dumps(event()).encode())[:5], "gzip", "ends too early"),
        (b"this is not gzip", "gzip", "not valid gzip"),
        (json.dumps(event()).encode(), "br", "not supported"),
        (gzip.compress(json.dumps(event()).encode()), "", "not valid JSON"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_refused(
    line: Line, body: bytes, encoding: str, words: str
) -> None:
    answer = line.post(body, {"Content-Encoding": encoding} if encoding else {})
    assert answer.status == 400
    assert words in json.dumps(answer.body)


def test_a_batch_of_50_000_events_is_too_large(line: Line) -> None:
    answer = line.post([event(message="m")] * 50_000)
    assert answer.status == 413
    assert "INGEST_MAX_BATCH_EVENTS" in answer.body["error"]


def test_a_body_over_the_limit_is_too_large(line: Line) -> None:
    answer = line.post(b" " * ((16 << 20) + 1))
    assert answer.status == 413
    assert "INGEST_MAX_BODY_BYTES" in answer.body["error"]


@pytest.mark.parametrize("key", [None, "wrong", "schlüssel"])
def test_without_the_key_nothing_is_let_in(line: Line, key: str | None) -> None:
    event_id = new_id("stranger")
    answer = line.post(event(event_id=event_id), key=key)
    assert answer.status == 401
    assert "X-API-KEY" in answer.body["error"]
    line.good_event_passes()
    assert line.rows(event_id) == []


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/ingest", 405), ("POST", "/ingest/x", 404)])
def test_other_methods_and_paths_are_client_errors(line: Line, method: str, path: str, status: int) -> None:
    assert line.raw(method, path) == status


def test_ndjson_with_bad_lines_queues_the_good_ones(line: Line) -> None:
    good = [new_id("ndjson") for _ in range(3)]
    lines = [json.dumps(event(event_id=each)) for each in good]
    body = "\n".join([lines[0], "{broken", lines[1], '{"hostname": "h"}', "", lines[2], "5"]).encode()
    answer = line.post(body, {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200
    assert answer.body["queued"] == 3
    assert answer.body["event_ids"] == good
    assert [refused["index"] for refused in answer.body["refused"]] == [1, 3, 5]
    for each in good:
        line.wait_delivered(each)
    assert line.wait_for_dead("ingest", "{broken")["reason"].startswith("not valid JSON")


@pytest.mark.parametrize("sent", [b"", b"{", b'{"timestamp": "2026'])
def test_a_client_that_hangs_up_in_the_middle_does_no_harm(line: Line, sent: bytes) -> None:
    line.say(line.head("Content-Length: 5000") + sent, listen=False)
    line.say(line.head("Transfer-Encoding: chunked") + b"a\r\n" + sent[:5], listen=False)


@pytest.mark.parametrize(
    "said",
    [
        b"GARBAGE\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /ingest HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /ingest HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /ingest HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=["not HTTP", "TLS", "negative length", "no chunk", "header too long"],
)
def test_what_is_not_http_is_a_bad_request(line: Line, said: bytes) -> None:
    assert b" 400 " in line.say(said)


def test_a_body_that_never_comes_is_not_waited_for_for_ever(line: Line) -> None:
    answer = line.say(line.head("Content-Length: 100"), b"{")
    assert b" 408 " in answer
    assert b"INGEST_BODY_TIMEOUT" in answer


@pytest.mark.parametrize(("given", "stored"), [("err", 3), ("emergency", 0), ("4", 4), (7, 7), (None, None)])
def test_severity_is_a_number_or_its_name(line: Line, given: object, stored: int | None) -> None:
    event_id = new_id("severity")
    assert line.post(event(event_id=event_id, syslog_severity=given)).status == 200
    line.wait_delivered(event_id)
    assert line.rows(event_id)[0]["syslog_severity"] == stored
