"""The ledger: was every event that was answered with 2xx accounted for? (pure; `gather` reads the stores)

An event that was answered is in the audit log once if a rule matched it, else in the counters of
unmatched events. An alert (an audit row that is forwarded) was delivered, or is a dead letter with
a reason. An attempt that was not answered may have been taken in or not; with an id of its sender's
that makes no difference.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.shards import BlockingShard, Shard
from tests.support.load import HOSTS_WITH_IDS, HOSTS_WITHOUT_IDS, Offered
from tests.support.moogsoft import Moogsoft
from tests.support.servers import PostgresServer

SHOWN = 5
AUDIT_QUERY = """
    SELECT event_id, raw_event->>'token', forwarded, alert_id, raw_event ? 'mutt_meta', handling
    FROM event_audit_log
"""
SHED = "alerter-shed"


@dataclass(frozen=True)
class AuditEntry:
    """What the ledger needs of an audit row; `token` is None for a meta-event."""

    event_id: str
    token: str | None
    forwarded: bool
    alert_id: str | None
    meta: bool
    handling: str


@dataclass(frozen=True)
class DeadLetter:
    """An entry of a dead letter queue."""

    source: str
    reason: str
    alert_id: str | None


@dataclass
class Books:
    """All that is known at the end.

    `stepped_back` is true when Redis was replaced by a replica that had not heard of the latest: an attempt that
    was not answered may have been audited before, and its id forgotten.
    """

    offered: list[Offered]
    audit: list[AuditEntry]
    unmatched: Counter[str]
    triggered: int
    delivered: Counter[str]
    dead: list[DeadLetter]
    held: dict[str, int] = field(default_factory=dict)
    stepped_back: bool = False

    def at_most(self, each: Offered) -> int:
        """How often an event may have been taken in: without an id, once for each attempt that may have succeeded."""
        if each.event_id is not None and not self.stepped_back:
            return 1
        return each.answered + each.unknown


def faults(books: Books) -> list[str]:
    """Everything that does not add up, in words; an empty list is what all the work is for."""
    return [
        *_faults_of_audit(books),
        *_faults_of_unmatched(books),
        *_faults_of_alerts(books),
        *(f"{key} still holds {depth} items" for key, depth in books.held.items()),
    ]


def _faults_of_audit(books: Books) -> Iterator[str]:
    rows = Counter(entry.token for entry in books.audit if not entry.meta)
    known = {each.token: each for each in books.offered}
    yield from _listed("audited but never sent", (str(token) for token in rows if token not in known))
    yield from _listed(
        "not matched by any rule and audited all the same",
        (token for token, each in known.items() if each.kind == "unmatched" and rows[token]),
    )
    matched = [each for each in books.offered if each.kind != "unmatched"]
    yield from _listed(
        "answered and not audited", (each.token for each in matched if each.answered and not rows[each.token])
    )
    yield from _listed(
        "audited too often",
        (
            f"{each.token} ({rows[each.token]} times)"
            for each in matched
            if rows[each.token] > books.at_most(each)
        ),
    )
    again = {each.event_id for each in books.offered if books.at_most(each) > 1}
    ids = Counter(entry.event_id for entry in books.audit)
    repeated = [event_id for event_id, n in ids.items() if n > 1 and event_id not in again]
    yield from _listed("event ids in more than one audit row", repeated)
    handlings = {each.token: "Page_and_ticket" if each.kind == "paged" else "Log_only" for each in matched}
    yield from _listed(
        "handled in another way than its rule says",
        (
            f"{e.token} ({e.handling})"
            for e in books.audit
            if e.token in handlings and e.handling != handlings[e.token]
        ),
    )


def _faults_of_unmatched(books: Books) -> Iterator[str]:
    for host in (*HOSTS_WITH_IDS, *HOSTS_WITHOUT_IDS):
        events = [each for each in books.offered if each.kind == "unmatched" and each.hostname == host]
        least, most = sum(each.answered for each in events), sum(map(books.at_most, events))
        counted = books.unmatched[host]
        if not least <= counted <= most:
            yield f"{counted} unmatched events of {host} are counted, {least} to {most} were taken in"
    metas = sum(entry.meta for entry in books.audit)
    if metas != books.triggered:
        yield f"{books.triggered} counters reached their threshold, {metas} meta-alerts are audited"


def _faults_of_alerts(books: Books) -> Iterator[str]:
    alerts: set[str] = {e.alert_id for e in books.audit if e.forwarded and e.alert_id is not None}
    yield from _listed(
        "forwarded without an alert id",
        (entry.event_id for entry in books.audit if entry.forwarded and not entry.alert_id),
    )
    dead = {letter.alert_id for letter in books.dead if letter.alert_id is not None}
    missing = {a for a in alerts if not books.delivered[a] and a not in dead}
    if books.stepped_back:
        # The audit row of an attempt that was not answered, whose alert went with the master: the event came again.
        whole = {entry.token for entry in books.audit if entry.alert_id in alerts - missing}
        missing -= {entry.alert_id for entry in books.audit if entry.token in whole}
    yield from _listed("alerts neither delivered nor dead", sorted(missing))
    yield from _listed("delivered without an audit row", (a for a in books.delivered if a not in alerts))
    yield from _listed("dead without an audit row", (a for a in dead if a not in alerts))
    yield from _listed(
        "dead letters without a reason", (str(letter) for letter in books.dead if not letter.reason)
    )
    yield from _listed(
        "dead letters that are no alerts", (letter.reason for letter in books.dead if letter.alert_id is None)
    )


def _listed(what: str, which: Iterable[str]) -> Iterator[str]:
    found = list(which)
    if found:
        more = ", …" if len(found) > SHOWN else ""
        yield f"{what}: {len(found)} ({', '.join(found[:SHOWN])}{more})"


def lost(books: Books) -> int:
    """Events that were answered with 2xx and are nowhere; one sent twice without an id may hide another."""
    rows = {entry.token for entry in books.audit}
    matched = sum(
        each.answered and each.kind != "unmatched" and each.token not in rows for each in books.offered
    )
    answered = Counter(each.hostname for each in books.offered if each.kind == "unmatched" and each.answered)
    return matched + sum(max(0, count - books.unmatched[host]) for host, count in answered.items())


def summary(books: Books) -> dict[str, object]:
    """The figures of the ledger, to be read."""
    alerts = {entry.alert_id for entry in books.audit if entry.forwarded}
    dead = Counter(f"{letter.source}: {letter.reason}" for letter in books.dead)
    return {
        "offered": len(books.offered),
        "answered": sum(each.answered for each in books.offered),
        "attempts not answered with 2xx (events)": sum(each.unknown for each in books.offered),
        "matched and answered": sum(each.answered and each.kind != "unmatched" for each in books.offered),
        "audit rows": len(books.audit),
        "unmatched, counted": sum(books.unmatched.values()),
        "meta-alerts": books.triggered,
        "alerts": len(alerts),
        "alerts delivered": len(books.delivered),
        "deliveries beyond the first": sum(books.delivered.values()) - len(books.delivered),
        "dead letters": dict(dead.most_common()),
        "delivered and dead": len({letter.alert_id for letter in books.dead} & set(books.delivered)),
    }


Where = redis.Redis | Iterable[BlockingShard]
"""The Redis of an appliance without shards, or its shards."""


def gather(
    offered: list[Offered], where: Where, postgres: PostgresServer, database: str, moogsoft: Moogsoft
) -> Books:
    """Read the stores and the receiver's records once nothing moves any more."""
    unmatched: Counter[str] = Counter()
    triggered = 0
    letters: list[DeadLetter] = []
    for shard in _shards(where):
        prefix = shard.keys.unhandled("", "").removesuffix("::")
        for key in shard.client.scan_iter(f"{prefix}:*"):
            name = key.decode()
            unmatched[name.split(":")[-2]] += int(shard.client.get(key) or 0)
            triggered += name.startswith(f"{prefix}:triggered:")
        for queue in (shard.keys.alerts.dead, shard.keys.events.dead):
            letters += [_letter(raw) for raw in shard.client.lrange(queue, 0, -1)]
    return Books(
        offered=offered,
        audit=[AuditEntry(*row) for row in postgres.execute(AUDIT_QUERY, database)],  # type: ignore[arg-type]
        unmatched=unmatched,
        triggered=triggered,
        delivered=Counter(moogsoft.accepted_ids()),
        dead=letters,
        held=held(where),
    )


def held(where: Where) -> dict[str, int]:
    """What lies in queues, processing lists and the retry set, by key; empty ones are left out."""
    depths: dict[str, int] = {}
    for shard in _shards(where):
        keys, client = shard.keys, shard.client
        lists = [keys.ingest_queue, keys.alert_queue]
        for queue in (keys.events, keys.alerts):
            found = client.scan_iter(f"{queue.processing_prefix}:*", _type="list")
            lists += [key.decode() for key in found]
        depths |= {key: int(client.llen(key)) for key in lists}
        depths[keys.retry] = int(client.zcard(keys.retry))
    return {key: depth for key, depth in depths.items() if depth}


def _shards(where: Where) -> Iterable[BlockingShard]:
    return [Shard(0, where, KeySpace(Settings()))] if isinstance(where, redis.Redis) else where


def _letter(raw: bytes | str) -> DeadLetter:
    entry: dict[str, Any] = json.loads(raw)
    payload = entry["payload"]
    alert_id = payload.get("alert_id") if isinstance(payload, dict) else None
    return DeadLetter(entry["source"], entry["reason"], alert_id)
