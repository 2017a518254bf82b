"""What became of each event of a batch, for those that follow single events: log lines at DEBUG, spans (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from mutt_appliance.alerter.batch import Batch
from mutt_appliance.store.audit import AuditRow

Outcome = Literal["forwarded", "shed", "audited", "unmatched", "dead"]


@dataclass(frozen=True)
class Fate:
    """One event: `row` is its audit row, if it has one, `reason` why it is a dead letter."""

    event: dict[str, Any]
    outcome: Outcome
    row: AuditRow | None = None
    reason: str = ""

    def facts(self) -> dict[str, str | int | None]:
        """What is told about it; its message is not."""
        row = self.row
        return {
            "outcome": self.outcome,
            "event_id": _text(self.event.get("event_id")),
            "correlation_id": _text(self.event.get("correlation_id")),
            "hostname": _text(self.event.get("hostname")),
            "rule_id": row.rule_id if row else None,
            "handling": row.handling if row else None,
            "environment": row.environment if row else None,
            "alert_id": row.alert_id if row else None,
            "reason": self.reason or None,
        }


def fates(items: Iterable[bytes], batch: Batch, *, shed: bool) -> Iterator[Fate]:
    """The fates of `items`, each of which is in the batch; of one that cannot be read there is nothing to tell.

    `shed`: the alerts of the batch went to the dead letters.
    """
    rows = dict(zip(batch.items, batch.rows, strict=True))
    for item in items:
        event = parsed(item)
        if event is None:
            continue
        row, reason = rows.get(item), batch.buried.get(item)
        if reason is not None:
            yield Fate(event, "dead", None, reason)
        elif row is None:
            yield Fate(event, "unmatched")
        elif not row.forwarded:
            yield Fate(event, "audited", row)
        else:
            yield Fate(event, "shed" if shed else "forwarded", row)


def parsed(item: bytes) -> dict[str, Any] | None:
    """An item of the queue as a document, None if it is none."""
    try:
        event = orjson.loads(item)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
