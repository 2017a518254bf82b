"""From the bytes of a request to its events (pure): gzip, one object, an array, or NDJSON."""

from __future__ import annotations

import zlib
from typing import Any

import orjson

from mutt_appliance.events.admission import Unreadable

# zlib's window size for gzip data with its header; see zlib.decompressobj.
GZIP_WBITS = 31


class BodyTooLargeError(Exception):
    """The body, or what it unpacks to, is over the limit, or it has too many events."""


class BodyUnreadableError(Exception):
    """The body is not what its headers say; the text says what is wrong and where."""


def unpack(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo Content-Encoding. Stops at `max_bytes`, so that a small bomb stays small.

    Raises BodyTooLargeError or BodyUnreadableError.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise BodyUnreadableError(f"Content-Encoding {encoding[:40]!r} is not supported: send gzip or none")
    parts: list[bytes] = []
    room = max_bytes + 1
    while body:
        unpacker = zlib.decompressobj(GZIP_WBITS)
        try:
            part = unpacker.decompress(body, room)
        except zlib.error as error:
            raise BodyUnreadableError(f"the body is not valid gzip: {error}") from error
        parts.append(part)
        room -= len(part)
        if room <= 0:
            raise BodyTooLargeError(f"the body unpacks to more than INGEST_MAX_BODY_BYTES={max_bytes}")
        if not unpacker.eof:
            raise BodyUnreadableError("the body is not valid gzip: it ends too early")
        body = unpacker.unused_data
    return b"".join(parts)


def split_events(body: bytes, max_events: int) -> list[Any]:
    """The events of a body in order, as parsed JSON or as `Unreadable`.

    One JSON object is one event, a JSON array is a batch, several lines of JSON are NDJSON. Raises
    BodyTooLargeError for more than `max_events`, BodyUnreadableError for an empty body.
    """
    if not body.strip():
        raise BodyUnreadableError("the body is empty: send a JSON object, an array of objects, or NDJSON")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        events = _split_lines(body, error)
    else:
        events = document if isinstance(document, list) else [document]
        if not events:
            raise BodyUnreadableError("the array is empty: send at least one event")
    if len(events) > max_events:
        raise BodyTooLargeError(
            f"the request has {len(events)} events, INGEST_MAX_BATCH_EVENTS={max_events}: send smaller batches"
        )
    return events


def _split_lines(body: bytes, error: orjson.JSONDecodeError) -> list[Any]:
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    if len(lines) == 1:
        return [Unreadable(lines[0], f"not valid JSON: {error}")]
    try:
        events = orjson.loads(b"[" + b",".join(lines) + b"]")
    except orjson.JSONDecodeError:
        pass
    else:
        if len(events) == len(lines):
            return list(events)
    parsed = [_parse_line(line) for line in lines]
    if all(isinstance(event, Unreadable) for event in parsed):
        # Not NDJSON with bad lines but one broken document: one fault, at the place the parser names.
        return [Unreadable(body, f"not valid JSON: {error}")]
    return parsed


def _parse_line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Unreadable(line, f"not valid JSON: {error}")
