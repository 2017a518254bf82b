"""An alert as Moogsoft wants it (pure).

lam    one object for the webhook LAM of AIOps and Enterprise; what makes two events one alert there
       is `signature`
cloud  one element of the array that the Events API of Moogsoft Cloud (APEX AIOps) takes; there it is
       `dedupe_key`
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from mutt_appliance.events.timestamps import parse_timestamp
from mutt_appliance.forwarder.subject import managed_object, varbind_pairs

MANAGER = "MUTT"
SIGNATURE_PREFIX = "mutt"
SIGNATURE_SEPARATOR = "::"
SIGNATURE_MAX_BYTES = 767
DIGEST_CHARS = 32
# They differ between two events about one thing: with them every event would be an alert of its own.
NEVER_IN_SIGNATURE = frozenset(
    {"severity", "syslog_severity", "state", "status", "time", "timestamp", "received_at", "agent_time"}
)

# syslog (RFC 5424 section 6.2.1) -> Moogsoft. 0 Clear is never sent: a severity does not say "over".
SEVERITY_INDETERMINATE = 1
SEVERITIES = {
    0: 5,  # Emergency     -> Critical
    1: 5,  # Alert         -> Critical
    2: 5,  # Critical      -> Critical
    3: 4,  # Error         -> Major
    4: 3,  # Warning       -> Minor
    5: 2,  # Notice        -> Warning
    6: SEVERITY_INDETERMINATE,  # Informational
    7: SEVERITY_INDETERMINATE,  # Debug
}

# A device's time further than this from when MUTT received the event is a clock that was never set,
# not an event that waited.
AGENT_TIME_OLDEST = timedelta(days=31)
AGENT_TIME_NEWEST = timedelta(days=1)


def severity_of(syslog_severity: object) -> int:
    """Moogsoft's severity (1 to 5) for a syslog severity; 1 Indeterminate for null or nonsense."""
    if isinstance(syslog_severity, bool) or not isinstance(syslog_severity, int):
        return SEVERITY_INDETERMINATE
    return SEVERITIES.get(syslog_severity, SEVERITY_INDETERMINATE)


def signature_of(alert: Mapping[str, Any], fields: Sequence[str]) -> str:
    """What makes two alerts one: `fields` of the alert, else of its event, joined by `::`.

    At most SIGNATURE_MAX_BYTES of UTF-8: a longer one is cut and ends in a digest of the whole.
    Fields of NEVER_IN_SIGNATURE are left out.
    """
    parts = [SIGNATURE_PREFIX]
    parts += [_signature_part(alert, field) for field in fields if field not in NEVER_IN_SIGNATURE]
    signature = SIGNATURE_SEPARATOR.join(parts)
    raw = signature.encode("utf-8", "replace")
    if len(raw) <= SIGNATURE_MAX_BYTES:
        return signature
    digest = hashlib.sha256(raw).hexdigest()[:DIGEST_CHARS]
    kept = SIGNATURE_MAX_BYTES - DIGEST_CHARS - len(SIGNATURE_SEPARATOR)
    return raw[:kept].decode("utf-8", "ignore") + SIGNATURE_SEPARATOR + digest


def _signature_part(alert: Mapping[str, Any], field: str) -> str:
    if field == "object":
        return managed_object(alert)
    value = alert.get(field)
    if value is None and isinstance(event := alert.get("event"), dict):
        value = event.get(field)
    return _text(value)


def agent_time(alert: Mapping[str, Any], now: datetime | None = None) -> int:
    """Epoch seconds of the event: the device's time if it makes sense, else when MUTT received it."""
    now = now or datetime.now(UTC)
    received = parse_timestamp(alert.get("received_at"), now) or now
    event = alert.get("event")
    device = parse_timestamp(event.get("timestamp"), received) if isinstance(event, dict) else None
    if device is None or not (received - AGENT_TIME_OLDEST <= device <= received + AGENT_TIME_NEWEST):
        device = received
    return int(device.timestamp())


def details(alert: Mapping[str, Any]) -> dict[str, Any]:
    """What MUTT knows beyond the fields Moogsoft has a place for; unset ones are left out."""
    event = alert.get("event")
    event = event if isinstance(event, dict) else {}
    known = {
        **{name: alert.get(name) for name in ("alert_id", "event_id", "correlation_id", "rule_id")},
        **{name: alert.get(name) for name in ("team", "handling", "environment", "received_at")},
        "syslog_severity": alert.get("severity"),
        **{name: event.get(name) for name in ("timestamp", "trap_oid", "agent_address", "fromhost_ip")},
        **{name: event.get(name) for name in ("program", "trap_uptime", "snmp_version")},
        "varbinds": dict(varbind_pairs(event.get("varbinds"))),
        "unhandled": event.get("mutt_meta"),
    }
    return {name: value for name, value in known.items() if value not in (None, "", {})}


def lam_event(alert: Mapping[str, Any], signature_fields: Sequence[str]) -> dict[str, Any]:
    """The object for the webhook LAM."""
    hostname = _text(alert.get("hostname"))
    return {
        "signature": signature_of(alert, signature_fields),
        "source_id": hostname,
        "external_id": _text(alert.get("alert_id")),
        "manager": MANAGER,
        "source": hostname,
        "class": _class_of(alert),
        "agent": MANAGER,
        "agent_location": _text(alert.get("environment")),
        "type": _type_of(alert),
        "severity": severity_of(alert.get("severity")),
        "description": _text(alert.get("message")),
        "agent_time": agent_time(alert),
        "custom_info": details(alert),
    }


def cloud_event(alert: Mapping[str, Any], signature_fields: Sequence[str]) -> dict[str, Any]:
    """One element of the array for the Events API; tags there are texts only."""
    subject = managed_object(alert)
    kind = _type_of(alert)
    tags = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in details(alert).items()
    }
    event = {
        "check": f"{kind} {subject}" if subject else kind,
        "description": _text(alert.get("message")) or kind,
        "severity": severity_of(alert.get("severity")),
        "source": _text(alert.get("hostname")),
        "class": _class_of(alert),
        "type": kind,
        "time": agent_time(alert),
        "dedupe_key": signature_of(alert, signature_fields),
        "manager": MANAGER,
        "tags": tags,
    }
    team = _text(alert.get("team"))
    return {**event, "service": [team]} if team else event


def _class_of(alert: Mapping[str, Any]) -> str:
    event = alert.get("event")
    if isinstance(event, dict):
        if isinstance(event.get("mutt_meta"), dict):
            return "unhandled"
        if event.get("trap_oid"):
            return "snmptrap"
    return "syslog"


def _type_of(alert: Mapping[str, Any]) -> str:
    """The rule that matched: two rules are two kinds of trouble."""
    rule = alert.get("rule_id")
    return "unhandled" if rule is None else f"rule {_text(rule)}"


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)
