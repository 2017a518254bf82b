"""One line from rsyslog to one event as JSON. Every line becomes an event; none is refused here."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson
from uuid_utils import uuid7

_UNWANTED: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT: Final = "�"
SHORTENED_MESSAGE_CHARACTERS: Final = 256


def event_json(line: bytes, *, hostname: str, now: str) -> bytes:
    """JSON of the event in `line`, with an `event_id`: the line's own, else a new UUIDv7.

    A line that is no JSON object is the message itself (a plain rsyslog template), from `hostname` at
    `now` (RFC 3339). NUL, invalid UTF-8 and lone surrogates become U+FFFD. The one space that rsyslog
    leaves between tag and message is taken off.
    """
    event = _read(line)
    if event is None:
        event = {"timestamp": now, "hostname": hostname, "message": line.decode("utf-8", "replace")}
    message = event.get("message")
    if isinstance(message, str) and message.startswith(" "):
        event["message"] = message[1:]
    event_id = event.get("event_id")
    if not isinstance(event_id, str) or not event_id:
        event["event_id"] = str(uuid7())
    return _write(event)


def shortened(body: bytes) -> bytes:
    """The event with only its standard fields and the beginning of its message."""
    event: dict[str, Any] = orjson.loads(body)
    message = str(event.get("message", ""))
    kept = ("timestamp", "hostname", "syslog_severity", "program", "fromhost_ip", "event_id")
    return orjson.dumps(
        {
            **{name: event[name] for name in kept if name in event},
            "message": message[:SHORTENED_MESSAGE_CHARACTERS],
            "message_characters": len(message),
        }
    )


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        # The lenient reader takes control characters, lone surrogates and broken UTF-8 that rsyslog let through.
        try:
            value = json.loads(line.decode("utf-8", "replace"), strict=False)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _write(event: dict[str, Any]) -> bytes:
    try:
        body = orjson.dumps(event)
    except TypeError:
        # Lone surrogates, or numbers beyond 64 bits.
        return orjson.dumps(_clean(event))
    return orjson.dumps(_clean(event)) if b"\\u0000" in body else body


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _UNWANTED.sub(_REPLACEMENT, value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return str(value)
    return value
