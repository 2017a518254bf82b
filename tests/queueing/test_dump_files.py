"""Dumps of queues as files; no Redis."""

from __future__ import annotations

import io
import json
from base64 import b64decode

import pytest

from mutt_appliance.queueing.dump_files import DumpError, Head, Item, read_head, read_items, write_dump

HEAD = Head("d1", "2026-11-24T00:00:00+00:00", "host-a")
ITEMS = [
    Item("ingest_queue", 0, b'{"event_id": "e1"}'),
    Item("ingest_queue", 1, b"\xff\x00 not even text\n"),
    Item("retry", 0, b"{}", 1764000000123),
    Item("dlq_moog", 0, b""),
]


def written() -> list[bytes]:
    stream = io.BytesIO()
    counts = write_dump(stream, HEAD, ITEMS)
    assert (counts.total, counts.by_place["ingest_queue"]) == (4, 2)
    return stream.getvalue().splitlines(keepends=True)


def test_what_is_written_is_read() -> None:
    lines = written()
    assert read_head(iter(lines)) == HEAD
    assert list(read_items(lines)) == ITEMS


def test_any_program_that_knows_json_and_base64_reads_it() -> None:
    documents = [json.loads(line) for line in written()]
    assert [b64decode(each["item"]) for each in documents[1:-1]] == [item.raw for item in ITEMS]
    assert documents[3]["due_ms"] == 1764000000123
    assert documents[-1]["counts"] == {"ingest_queue": 2, "retry": 1, "dlq_moog": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "cut off"),
        (lambda lines: [], "cut off"),
        (lambda lines: [*lines[:1], *lines[2:]], "damaged"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "damaged"),
        (lambda lines: [*lines, b"{}\n"], "damaged"),
        (lambda lines: [lines[0], b"[]\n", *lines[1:]], "no JSON object"),
        (lambda lines: [lines[0], b"x\n", *lines[1:]], "not JSON"),
        (lambda lines: [lines[0], b'{"place":"retry"}\n', *lines[1:]], "no item of a queue"),
        (lambda lines: [lines[0], b'{"place":"later"}\n', *lines[1:]], "a newer MUTT"),
        (lambda lines: lines[1:], "no dump of queues"),
        (lambda lines: [lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]], "load it with MUTT"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_written_is_found_out(change: object, words: str) -> None:
    with pytest.raises(DumpError, match=words):
        list(read_items(change(written())))  # type: ignore[operator]
