"""What became of every event of a demonstration: counted in the stores, added up here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from mutt_appliance.demo.messages import HOSTNAMES
from mutt_appliance.demo.queries import query
from mutt_appliance.demo.traffic import Sent
from mutt_appliance.queueing.scripts import text
from mutt_appliance.queueing.shards import BlockingShard
from mutt_appliance.store.pool import Database

META_PREFIX: Final = "unhandled-"


@dataclass(frozen=True)
class Audited:
    """The audit log: rows of our events, how many events they are, meta-events, ids of forwarded alerts."""

    rows: int
    events: int
    meta_events: int
    forwarded: frozenset[str]


@dataclass
class DeadLetters:
    """Our dead letters: ids of alerts that died, how many events died, and the reasons of both."""

    alerts: set[str] = field(default_factory=set)
    events: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Account:
    """The end of a demonstration. `waiting_*` is what was still on its way when the time was up."""

    sent: Sent
    audited: Audited
    unhandled: int
    patterns: int
    dead: DeadLetters
    delivered: frozenset[str]
    deliveries: int
    retried: int
    waiting_events: int = 0
    waiting_alerts: int = 0

    @property
    def lost_events(self) -> int:
        """Events answered with 2xx that are nowhere; negative when some were counted twice.

        An event that nobody answered for may have been taken in all the same.
        """
        found = self.audited.events + self.unhandled + self.dead.events + self.waiting_events
        missing = self.sent.accepted - found
        return missing if missing > 0 else min(0, missing + self.sent.unanswered)

    @property
    def lost_alerts(self) -> int:
        """Alerts of the audit log that were neither delivered nor are dead letters nor wait."""
        missing = self.audited.forwarded - self.delivered - self.dead.alerts
        return max(0, len(missing) - self.waiting_alerts)

    @property
    def audited_twice(self) -> int:
        """Rows of the audit log that should not be there."""
        return self.audited.rows - self.audited.events

    @property
    def well(self) -> bool:
        """True when every event is where it should be, once."""
        return not (
            self.lost_events
            or self.lost_alerts
            or self.audited_twice
            or self.waiting_events
            or self.waiting_alerts
        )


def read_audited(database: Database, prefix: str) -> Audited:
    """Rows of events whose id begins with `prefix`, and of the meta-events made of them."""
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute(query("audited"), {"own": f"{prefix}%", "meta": f"{META_PREFIX}{prefix}%"})
        ((rows, events, meta),) = cursor.fetchall()
        cursor.execute(query("forwarded"), {"own": f"{prefix}%", "meta": f"{META_PREFIX}{prefix}%"})
        forwarded = frozenset(alert_id for (alert_id,) in cursor.fetchall())
    return Audited(rows, events, meta, forwarded)


def read_unhandled(shards: Iterable[BlockingShard]) -> Counter[str]:
    """Unmatched events by counter, of the hosts that the demonstration speaks for."""
    counts: Counter[str] = Counter()
    for shard in shards:
        prefix = shard.keys.unhandled("", "").removesuffix("::")
        names = [text(key) for key in shard.client.scan_iter(match=f"{prefix}:*", count=1000)]
        ours = [name for name in names if counter_host(name, prefix) in HOSTNAMES]
        for name, value in zip(ours, shard.client.mget(ours) if ours else [], strict=True):
            counts[name.replace(":triggered:", ":", 1)] += int(value or 0)
    return counts


def counter_host(name: str, unhandled_prefix: str) -> str:
    """Host name in the name of an unhandled counter."""
    rest = name.removeprefix(f"{unhandled_prefix}:").removeprefix("triggered:")
    return rest.rpartition(":")[0]


def read_dead(shards: Iterable[BlockingShard], prefix: str) -> DeadLetters:
    """Dead letters of our events and alerts."""
    dead = DeadLetters()
    for shard in shards:
        for queue in (shard.keys.events.dead, shard.keys.alerts.dead):
            add_dead(dead, (text(item) for item in shard.client.lrange(queue, 0, -1)), prefix)
    return dead


def add_dead(dead: DeadLetters, letters: Iterable[str], prefix: str) -> None:
    """Sort the letters of one queue: an alert has an alert_id, an event has none."""
    for letter in letters:
        document: dict[str, Any] = json.loads(letter)
        payload = document["payload"]
        if not isinstance(payload, dict):
            continue
        event_id = str(payload.get("event_id")).removeprefix(META_PREFIX)
        if not event_id.startswith(prefix):
            continue
        dead.reasons[str(document["reason"])] += 1
        if "alert_id" in payload:
            dead.alerts.add(str(payload["alert_id"]))
        else:
            dead.events += 1
