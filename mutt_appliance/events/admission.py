"""Which events are let in, and what MUTT adds to them (pure but for fresh ids)."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson
import uuid_utils

from mutt_appliance.config import Settings
from mutt_appliance.events.severity import parse_severity
from mutt_appliance.events.snmptrap import enrich, may_be_trap
from mutt_appliance.events.tracing import TRACEPARENT_FIELD
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.intake import DIGEST_BYTES

MAX_HOSTNAME_CHARS = 255
MAX_ID_CHARS = 128
# What of a refused event is kept in its dead letter.
KEPT_BYTES = 65_536
# Set by MUTT alone: what a sender gives under this name is dropped.
RESERVED = "mutt_meta"


@dataclass(frozen=True)
class Unreadable:
    """A part of a body that is not JSON: its text and what is wrong with it."""

    text: bytes
    reason: str


class RefusedError(Exception):
    """An event is not let in; the text names the field, its value and what is allowed."""


@dataclass(frozen=True)
class Limits:
    """What an event must have and may be."""

    required: tuple[str, ...]
    max_event_bytes: int
    dedup: bool

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits of a configuration."""
        return cls(
            settings.required_message_fields,
            settings.ingest_max_event_bytes,
            settings.ingest_dedup_window_seconds > 0,
        )


@dataclass(frozen=True)
class Refusal:
    """One event that was not let in: its place in the request and why."""

    index: int
    reason: str


@dataclass
class Admission:
    """A request sorted out: events to queue as (digest, JSON), their hosts and ids, refusals and dead letters."""

    events: list[tuple[bytes, bytes]] = field(default_factory=list)
    hostnames: list[str] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    dead: list[bytes] = field(default_factory=list)


def admit(
    parsed: list[Any],
    limits: Limits,
    correlation_id: str,
    received_at: str,
    may_hold_nul: bool,
    traceparent: str | None = None,
) -> Admission:
    """Check and complete the events of one request.

    `traceparent` is the span that the events continue, empty for none; where it is None there are no traces.

    `received_at` is RFC 3339 UTC. `may_hold_nul` says that the body had an escaped NUL somewhere, which
    is the only way one can be in a JSON string; PostgreSQL cannot store it.
    """
    if traceparent is not None:
        _mark(parsed, traceparent)
    admission = Admission()
    for index, event in enumerate(parsed):
        try:
            digest, payload, event_id, hostname = _admit_one(
                event, limits, correlation_id, received_at, may_hold_nul
            )
        except RefusedError as refused:
            reason = str(refused)
            admission.refused.append(Refusal(index, reason))
            admission.dead.append(dead_letter(_kept(event), reason, 0, "ingest", received_at))
        else:
            admission.events.append((digest, payload))
            admission.hostnames.append(hostname)
            admission.event_ids.append(event_id)
    return admission


def _admit_one(
    event: Any, limits: Limits, correlation_id: str, received_at: str, may_hold_nul: bool
) -> tuple[bytes, bytes, str, str]:
    if type(event) is not dict:
        if isinstance(event, Unreadable):
            raise RefusedError(event.reason)
        raise RefusedError(f"an event must be a JSON object, this is {_kind(event)}")
    for name in limits.required:
        value = event.get(name)
        if not value or type(value) is not str:
            _check_required(name, value)
    message, hostname = event.get("message"), event.get("hostname")
    if type(message) is not str or type(hostname) is not str:
        _check_text("message", message)
        _check_text("hostname", hostname)
    elif len(hostname) > MAX_HOSTNAME_CHARS:
        raise RefusedError(
            f"hostname has {len(hostname)} characters, at most {MAX_HOSTNAME_CHARS} are allowed"
        )
    if message and may_be_trap(message):
        enrich(event)
    severity = event.get("syslog_severity")
    if type(severity) is not int or not 0 <= severity <= 7:
        try:
            event["syslog_severity"] = parse_severity(severity)
        except ValueError as error:
            raise RefusedError(f"syslog_severity: {error}") from error
    trap_oid = event.get("trap_oid")
    if trap_oid is not None:
        event["trap_oid"] = _checked_oid(trap_oid)
    event.pop(RESERVED, None)

    digest = b""
    event_id = event.get("event_id")
    if event_id is None:
        event_id = str(uuid_utils.uuid7())
    else:
        _check_id("event_id", event_id)
        if limits.dedup:
            digest = blake2b(event_id.encode(), digest_size=DIGEST_BYTES).digest()
    event["event_id"] = event_id
    own_correlation = event.get("correlation_id")
    if own_correlation is None:
        event["correlation_id"] = correlation_id
    else:
        _check_id("correlation_id", own_correlation)
    event["received_at"] = received_at
    try:
        payload = orjson.dumps(event)
    except orjson.JSONEncodeError as error:
        raise RefusedError("the event is nested too deeply: at most 254 levels are allowed") from error
    if len(payload) > limits.max_event_bytes:
        raise RefusedError(
            f"the event has {len(payload)} bytes, INGEST_MAX_EVENT_BYTES={limits.max_event_bytes}"
        )
    if may_hold_nul and _holds_nul(event):
        raise RefusedError("the event holds a NUL character (\\u0000), which cannot be stored: remove it")
    return digest, payload, event_id, hostname or ""


def _mark(parsed: list[Any], traceparent: str) -> None:
    for event in parsed:
        if type(event) is dict:
            event.pop(TRACEPARENT_FIELD, None)
            if traceparent:
                event[TRACEPARENT_FIELD] = traceparent


def _check_required(name: str, value: object) -> None:
    if value is None:
        raise RefusedError(f"{name} is missing")
    if value == "":
        raise RefusedError(f"{name} is empty")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RefusedError(f"{name} must be text, this is {_kind(value)}")


def _check_text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise RefusedError(f"{name} must be text, this is {_kind(value)}")


def _check_id(name: str, value: object) -> None:
    if not isinstance(value, str) or not value or len(value) > MAX_ID_CHARS or not value.isprintable():
        raise RefusedError(f"{name} must be text of 1 to {MAX_ID_CHARS} printable characters")


def _checked_oid(value: object) -> str:
    if isinstance(value, str):
        oid = value.strip().lstrip(".")
        arcs = oid.split(".")
        if len(oid) <= MAX_HOSTNAME_CHARS and all(arc.isascii() and arc.isdigit() for arc in arcs):
            return oid
    raise RefusedError("trap_oid must be a numeric OID such as 1.3.6.1.6.3.1.1.5.3")


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _holds_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(_holds_nul(inner) for inner in value)


def _kind(value: object) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "text",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _kept(event: Any) -> bytes:
    if isinstance(event, Unreadable):
        raw = event.text
    else:
        try:
            raw = orjson.dumps(event)
        except orjson.JSONEncodeError:
            raw = b"(nested too deeply to be kept)"
    return raw if len(raw) <= KEPT_BYTES else raw[:KEPT_BYTES]
