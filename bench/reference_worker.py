"""The specification's alerter done the plain way: one message at a time, every step a round trip of its own.

BRPOPLPUSH, a loop over compiled rules in the order of priority, INSERT and COMMIT, LPUSH, LREM; an
unmatched message is counted with INCR, and EXPIRE when the counter is new.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import click
import psycopg2
import redis

from bench.traffic import plain_patterns
from mutt_appliance.queueing.scripts import text
from mutt_appliance.store.rules import RuleData, RuleRow, load_rule_data

INSERT = """
    INSERT INTO event_audit_log (event_id, correlation_id, received_at, event_timestamp, hostname, message,
        syslog_severity, trap_oid, rule_id, handling, environment, team, alert_id, forwarded, raw_event)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
POP_TIMEOUT_SECS = 1
EXPIRY_SECS = 86_400
PROCESSING = "bench:processing:plain"
UNHANDLED = "bench:unhandled"


@dataclass
class PlainWorker:
    """Takes from `queue` and pushes alerts to `alerts`."""

    client: redis.Redis
    connection: psycopg2.extensions.connection
    queue: str
    alerts: str

    def __post_init__(self) -> None:
        self._data: RuleData = load_rule_data(self.connection)
        self.connection.rollback()
        self._patterns = plain_patterns(self._data)

    def work(self, seconds: float) -> tuple[int, int, float]:
        """(events, matched events, seconds it took), until `seconds` are over or the queue is empty."""
        events = matched = 0
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            item = self.client.brpoplpush(self.queue, PROCESSING, timeout=POP_TIMEOUT_SECS)
            if item is None:
                break
            events += 1
            matched += self._process(item)
            self.client.lrem(PROCESSING, 1, cast(str, item))
        return events, matched, time.monotonic() - started

    def _process(self, item: bytes | str) -> bool:
        event = json.loads(item)
        rule = self._match(event["message"], event.get("syslog_severity"), event.get("trap_oid"))
        if rule is None:
            key = f"{UNHANDLED}:{event['hostname']}"
            if self.client.incr(key) == 1:
                self.client.expire(key, EXPIRY_SECS)
            return False
        hostname = event["hostname"].lower()
        environment = "dev" if hostname in self._data.dev_hosts else "prod"
        handling = rule.prod_handling if environment == "prod" else rule.dev_handling
        team = rule.team_assignment or self._data.teams.get(hostname, "NETO")
        alert_id = str(uuid.uuid4())
        with self.connection.cursor() as cursor:
            cursor.execute(
                INSERT,
                (
                    *(event["event_id"], event["correlation_id"], event["received_at"], event["timestamp"]),
                    *(event["hostname"], event["message"], event["syslog_severity"], event.get("trap_oid")),
                    *(rule.id, handling, environment, team, alert_id, True, text(item)),
                ),
            )
        self.connection.commit()
        alert = {
            **{name: event[name] for name in ("event_id", "correlation_id", "hostname", "message")},
            **{"alert_id": alert_id, "rule_id": rule.id, "team": team, "handling": handling},
            **{"environment": environment, "severity": event["syslog_severity"], "event": event},
        }
        self.client.lpush(self.alerts, json.dumps(alert))
        return True

    def _match(self, message: str, severity: int | None, oid: str | None) -> RuleRow | None:
        lower = message.lower()
        rules: Sequence[RuleRow] = self._data.rules
        for place, (kind, pattern) in enumerate(self._patterns):
            if kind == "contains":
                if pattern not in lower:
                    continue
            elif kind == "regex":
                if not pattern.search(message):
                    continue
            elif oid is None or not oid.startswith(pattern):
                continue
            rule = rules[place]
            if rule.syslog_severity is None or rule.syslog_severity == severity:
                return rule
        return None


@click.command()
@click.option("--redis", "redis_socket", required=True)
@click.option("--postgres", "postgres_folder", required=True)
@click.option("--port", type=int, required=True)
@click.option("--database", required=True)
@click.option("--queue", required=True)
@click.option("--alerts", required=True)
@click.option("--seconds", type=float, required=True)
def main(
    redis_socket: str,
    postgres_folder: str,
    port: int,
    database: str,
    queue: str,
    alerts: str,
    seconds: float,
) -> None:
    """Work through a queue and print what was done as one JSON object."""
    connection = psycopg2.connect(host=postgres_folder, port=port, user="mutt_user", dbname=database)
    worker = PlainWorker(redis.Redis(unix_socket_path=redis_socket), connection, queue, alerts)
    events, matched, elapsed = worker.work(seconds)
    result: dict[str, Any] = {"events": events, "matched": matched, "seconds": elapsed}
    click.echo(json.dumps(result))


if __name__ == "__main__":
    main()
