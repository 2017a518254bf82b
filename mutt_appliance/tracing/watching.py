"""Looks for events in the stores: audit rows, counters of unmatched events, deliveries, dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import redis

from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.rules.patterns import PatternHasher
from mutt_appliance.store.pool import Database
from mutt_appliance.store.queries import query
from mutt_appliance.tracing.journey import Depths, Journey, Sighting

# The newest of a list or set that are looked at: a test event is new.
LOOKED_AT = 500
CLOCK_MARGIN = timedelta(minutes=1)


class Watcher:
    """Looks for the events of one `mutt-ctl send`, all of one host and one message."""

    def __init__(
        self, client: redis.Redis, keys: KeySpace, database: Database, hostname: str, message: str
    ) -> None:
        self._client = client
        self._keys = keys
        self._database = database
        digest = PatternHasher()(message.encode("utf-8", "replace"))
        self._counters = (keys.unhandled(hostname, digest), keys.unhandled_triggered(hostname, digest))
        self._counted_before = 0
        self._sent_at = datetime.now(UTC)

    def before_sending(self, now: datetime) -> None:
        """Note how many events of this pattern were counted before. Raises redis.RedisError."""
        self._counted_before = self._counted()
        self._sent_at = now

    def look(self, journeys: Iterable[Journey]) -> list[Sighting]:
        """Everything that can be seen of the journeys that go on. Raises redis.RedisError, StoreUnavailable."""
        going_on = [journey for journey in journeys if not journey.ended]
        # Counted before the audit log is asked: an event is never in both.
        waiting = [journey for journey in going_on if journey.stage == "accepted"]
        found = list(self._audited(waiting)) if waiting else []
        audited = {sighting.event_id for sighting in found}
        found += self._unmatched([j for j in waiting if j.event_id not in audited])
        by_alert = {journey.alert_id: journey.event_id for journey in going_on if journey.alert_id}
        by_alert |= {sighting.alert_id: sighting.event_id for sighting in found if sighting.alert_id}
        if by_alert:
            found += self._alerts(by_alert)
        return found + list(self._dead_events({journey.event_id for journey in waiting}))

    def depths(self) -> Depths:
        """How full the queues are. Raises redis.RedisError."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.llen(self._keys.ingest_queue)
            pipe.llen(self._keys.alert_queue)
            pipe.zcard(self._keys.retry)
            ingest, alerts, retries = pipe.execute()
        return Depths(int(ingest), int(alerts), int(retries))

    def _audited(self, waiting: list[Journey]) -> Iterator[Sighting]:
        values = {
            "since": self._sent_at - CLOCK_MARGIN,
            "until": self._sent_at + timedelta(hours=1),
            "event_ids": [journey.event_id for journey in waiting],
        }
        with self._database.connection(autocommit=True) as conn, conn.cursor() as cursor:
            cursor.execute(query("audit_rows_of_events"), values)
            rows = cursor.fetchall()
        for event_id, _, rule_id, handling, environment, team, alert_id, forwarded in rows:
            detail = f"by rule {rule_id} as {handling} ({environment}) for team {team}"
            if not forwarded:
                detail += "; this handling forwards nothing"
            yield Sighting(event_id, "audited", detail, alert_id, forwarded)

    def _unmatched(self, waiting: list[Journey]) -> Iterator[Sighting]:
        """Which of several alike events was counted cannot be told; they are, so it makes no difference."""
        counted = self._counted()
        for journey in waiting[: max(0, counted - self._counted_before)]:
            yield Sighting(
                journey.event_id, "unmatched", f"no rule matches; events of this pattern counted: {counted}"
            )
        self._counted_before = max(self._counted_before, counted)

    def _counted(self) -> int:
        return sum(int(value or 0) for value in self._client.mget(self._counters))

    def _alerts(self, by_alert: dict[str, str]) -> Iterator[Sighting]:
        keys = self._keys
        with self._client.pipeline(transaction=False) as pipe:
            for key in (keys.traced, keys.alerts.dead, keys.events.dead):
                pipe.lrange(key, 0, LOOKED_AT - 1)
            pipe.zrange(keys.retry, 0, LOOKED_AT - 1)
            delivered, dead, shed, retries = pipe.execute()
        for note in _objects(delivered):
            event_id = by_alert.get(str(note.get("alert_id")))
            if event_id:
                yield Sighting(event_id, "delivered", f"to the webhook, attempt {note.get('attempts')}")
        for source, letters in ((keys.alerts.dead, dead), (keys.events.dead, shed)):
            for letter in _objects(letters):
                event_id = by_alert.get(str(_payload(letter).get("alert_id")))
                if event_id:
                    yield Sighting(event_id, "dead", f"in {source}: {letter.get('reason')}")
        for alert in _objects(retries):
            event_id, delivery = by_alert.get(str(alert.get("alert_id"))), alert.get("delivery")
            if event_id and isinstance(delivery, dict):
                detail = f"attempt {delivery.get('attempts')} failed: {delivery.get('last_error')}"
                yield Sighting(event_id, "retry", detail)

    def _dead_events(self, event_ids: set[str]) -> Iterator[Sighting]:
        if not event_ids:
            return
        letters: Any = self._client.lrange(self._keys.events.dead, 0, LOOKED_AT - 1)
        for letter in _objects(letters):
            payload = _payload(letter)
            if payload.get("event_id") in event_ids and "alert_id" not in payload:
                detail = f"in {self._keys.events.dead}: {letter.get('reason')}"
                yield Sighting(payload["event_id"], "dead", detail)


def _objects(items: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for item in items:
        try:
            value = orjson.loads(item)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            yield value


def _payload(letter: dict[str, Any]) -> dict[str, Any]:
    payload = letter.get("payload")
    return payload if isinstance(payload, dict) else {}
