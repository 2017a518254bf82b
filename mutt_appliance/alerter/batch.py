"""What becomes of a claimed batch (pure): audit rows, alerts, dead letters, unhandled counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import uuid_utils

from mutt_appliance.events.timestamps import parse_timestamp
from mutt_appliance.queueing.activity import Activity
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.events import UnhandledCount
from mutt_appliance.rules.decide import Decision, decide, decide_meta, meta_message
from mutt_appliance.rules.patterns import PatternHasher
from mutt_appliance.rules.ruleset import RuleSet
from mutt_appliance.store.audit import AuditRow

# An alert's id follows from its event, so that a batch that is processed again makes the same alert.
ALERT_NAMESPACE = uuid_utils.UUID("5d3f0a52-52a3-4f0e-9c56-0a1f4f7b6d21")
NO_HOSTNAME = "unknown"


class PoisonError(Exception):
    """An item of the queue that is no event; the text says why."""


@dataclass
class Batch:
    """Audit rows with the alert of each (None: audited only), dead letters, and unmatched patterns.

    `items` are those of the rows, `buried` are those of the dead letters, with the reason.
    """

    size: int
    rows: list[AuditRow] = field(default_factory=list)
    alerts: list[bytes | None] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    dead: list[bytes] = field(default_factory=list)
    unhandled: list[UnhandledCount] = field(default_factory=list)
    unhandled_events: int = 0
    buried: dict[bytes, str] = field(default_factory=dict)

    def bury(self, item: bytes, reason: str, attempts: int = 1) -> None:
        """Make a dead letter of an item."""
        self.dead.append(dead_letter(item, reason, attempts, "alerter"))
        self.buried[item] = reason

    def without_refused(self, reasons: dict[int, str]) -> None:
        """Turn the rows that the database refused, by their place in `rows`, into dead letters."""
        for index, reason in reasons.items():
            self.bury(self.items[index], f"audit log: {reason}")
            self.alerts[index] = None

    def activity(self) -> Activity:
        """How much each rule and each host had to do with it."""
        hosts = Counter(row.hostname for row in self.rows)
        for count in self.unhandled:
            hosts[count.hostname] += count.amount
        rules = Counter(row.rule_id for row in self.rows if row.rule_id is not None)
        return Activity(rules, hosts)

    def alerts_to_send(self) -> list[bytes]:
        """The alerts that are left."""
        return [alert for alert in self.alerts if alert is not None]


class BatchProcessor:
    """Turns claimed items into a `Batch` by one rule set."""

    def __init__(self, rules: RuleSet, default_team: str, hasher: PatternHasher) -> None:
        self._rules = rules
        self._default_team = default_team
        self._hash = hasher

    def process(self, items: Sequence[bytes]) -> Batch:
        """Decide about every item; one that is no event becomes a dead letter and stops nothing."""
        batch = Batch(len(items))
        counts: dict[tuple[str, str], list[int]] = {}
        match, hasher, data = self._rules.match, self._hash, self._rules.data
        for index, event in enumerate(_parse_all(items)):
            fault = _fault(event)
            if fault is not None:
                batch.bury(items[index], f"not an event: {fault}")
                continue
            message = event.get("message") or ""
            hostname = event.get("hostname") or NO_HOSTNAME
            if event.get("mutt_meta") is not None:
                decision = decide_meta(hostname, data, self._default_team)
                _keep(batch, items[index], event, meta_message(event), decision)
                continue
            text = message.encode("utf-8", "replace")
            rule = match(message, text, event.get("syslog_severity"), event.get("trap_oid"))
            if rule is not None:
                _keep(batch, items[index], event, message, decide(rule, hostname, data, self._default_team))
                continue
            key = (hostname, hasher(text))
            seen = counts.get(key)
            if seen is None:
                counts[key] = [1, index]
            else:
                seen[0] += 1
        batch.unhandled = [UnhandledCount(host, digest, n, at) for (host, digest), (n, at) in counts.items()]
        batch.unhandled_events = sum(count.amount for count in batch.unhandled)
        return batch


def _parse_all(items: Sequence[bytes]) -> list[Any]:
    """Parse all items in one call; one by one only if that fails."""
    try:
        events: list[Any] = orjson.loads(b"[" + b",".join(items) + b"]")
        if len(events) == len(items):
            return events
    except orjson.JSONDecodeError:
        pass
    return [_parse(item) for item in items]


def _parse(item: bytes) -> Any:
    try:
        return orjson.loads(item)
    except orjson.JSONDecodeError as error:
        return PoisonError(f"not valid JSON: {error}")


def _fault(event: Any) -> str | None:
    """Why something in the queue is no event. The ingestor lets none of these in, but others can write there."""
    if type(event) is not dict:
        return str(event) if isinstance(event, PoisonError) else "not a JSON object"
    if type(event.get("event_id")) is not str:
        return "it has no event_id"
    if "mutt_meta" in event and type(event["mutt_meta"]) not in (dict, type(None)):
        return "mutt_meta is not an object"
    if type(event.get("message")) is str and type(event.get("hostname")) is str and "trap_oid" not in event:
        return None
    for name in ("message", "hostname", "trap_oid"):
        value = event.get(name)
        if value is not None and type(value) is not str:
            return f"{name} is not text"
    return None


def _keep(batch: Batch, item: bytes, event: dict[str, Any], message: str, decision: Decision) -> None:
    """Add the audit row of a handled event, and its alert if it is forwarded."""
    received_at = _received_at(event.get("received_at"))
    correlation_id, severity = event.get("correlation_id"), event.get("syslog_severity")
    fault = None
    if received_at is None:
        fault = "received_at is missing or no time with a zone"
    elif correlation_id is not None and type(correlation_id) is not str:
        fault = "correlation_id is not text"
    elif severity is not None and (type(severity) is not int or not 0 <= severity <= 7):
        fault = "syslog_severity is no number from 0 to 7"
    if received_at is None or fault is not None:
        batch.bury(item, f"not an event: {fault}")
        return
    event_id = event["event_id"]
    hostname = event.get("hostname") or NO_HOSTNAME
    alert_id = str(uuid_utils.uuid5(ALERT_NAMESPACE, event_id)) if decision.forwarded else None
    batch.rows.append(
        AuditRow(
            event_id=event_id,
            correlation_id=correlation_id,
            received_at=received_at,
            event_timestamp=parse_timestamp(event.get("timestamp"), received_at),
            hostname=hostname,
            message=message,
            syslog_severity=severity,
            trap_oid=event.get("trap_oid"),
            rule_id=decision.rule_id,
            handling=decision.handling,
            environment=decision.environment,
            team=decision.team,
            alert_id=alert_id,
            forwarded=decision.forwarded,
            raw_event=item.decode(),
        )
    )
    batch.items.append(item)
    batch.alerts.append(
        None if alert_id is None else _alert(item, event, message, hostname, decision, alert_id)
    )


def _received_at(value: object) -> datetime | None:
    """The time as it can be stored, None for anything else."""
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def _alert(
    item: bytes, event: dict[str, Any], message: str, hostname: str, decision: Decision, alert_id: str
) -> bytes:
    return orjson.dumps(
        {
            "alert_id": alert_id,
            "event_id": event["event_id"],
            "correlation_id": event.get("correlation_id"),
            "rule_id": decision.rule_id,
            "hostname": hostname,
            "team": decision.team,
            "severity": event.get("syslog_severity"),
            "handling": decision.handling,
            "environment": decision.environment,
            "message": message,
            "received_at": event["received_at"],
            "event": orjson.Fragment(item),
        }
    )
