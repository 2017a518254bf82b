"""One alerter process against a worker that does it the plain way, on the same data and servers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from bench import appliance
from bench.ingest import key_spaces
from bench.measure import in_turns
from bench.report import Figure, rate
from bench.run import CannotMeasureError, Run
from bench.stores import REPOSITORY
from bench.traffic import events, traffic
from mutt_appliance.queueing.dead_letter import now_rfc3339
from mutt_appliance.queueing.scripts import text

RULES = 1_000
MATCHED_EVERY = 10
CHUNK = 1_000
DISTINCT_EVENTS = 20_000
WARM_UP_EVENTS = 5_000
# Events for the plain worker: more than it can do in its time.
PLAIN_EVENTS_PER_SEC = 10_000
POLL_SECS = 0.005
DRAIN_TIMEOUT_SECS = 120.0
PLAIN_QUEUE = "bench:plain:queue"
PLAIN_ALERTS = "bench:plain:alerts"
PREPARED = "bench:prepared"
# The alert queue has no reader here; the counters shall not make events of their own.
ENVIRONMENT = {
    "ALERTER_WORKERS": "1",
    "ALERTER_QUEUE_WARN_THRESHOLD": "1000000000",
    "ALERTER_QUEUE_SHED_THRESHOLD": "1000000000",
    "UNHANDLED_THRESHOLD": "1000000000",
}


@dataclass
class Contest:
    """Both workers, one at a time; each pass is checked event by event count.

    With several shards ours finds an equal part of the events in each.
    """

    run: Run
    database: str
    client: redis.Redis
    samples: list[bytes]
    shards: int = 1
    events_per_pass: int = WARM_UP_EVENTS

    def ours(self) -> float:
        """Events a second of the alerter that is running: from a full queue to everything settled."""
        spaces = key_spaces(self.shards)
        matched = 0
        lists: list[str] = []
        for space in spaces:
            matched += self._fill(PREPARED + space.ingest_queue, self.events_per_pass // self.shards)
            names: Any = self.client.smembers(space.events.workers)
            lists += [space.ingest_queue, *(space.events.processing(text(name)) for name in names)]
        started = time.monotonic()
        for space in spaces:
            self.client.rename(PREPARED + space.ingest_queue, space.ingest_queue)
        self._wait_until_settled(lists, started + DRAIN_TIMEOUT_SECS)
        elapsed = time.monotonic() - started
        self._check([space.alert_queue for space in spaces], matched)
        value = self.events_per_pass / elapsed
        # The next time as many as it does in the time of a measurement.
        self.events_per_pass = max(WARM_UP_EVENTS, int(value * self.run.seconds))
        return value

    def plain(self) -> float:
        """Events a second of the plain worker, which stops when its time is over."""
        self._fill(PLAIN_QUEUE, int(PLAIN_EVENTS_PER_SEC * self.run.seconds) + 1)
        answer = subprocess.run(
            [
                *(sys.executable, "-m", "bench.reference_worker"),
                *(
                    "--redis",
                    str(self.run.stores.redis.socket_path),
                    "--postgres",
                    self.run.stores.postgres.address,
                ),
                *("--port", str(self.run.stores.postgres.port), "--database", self.database),
                *("--queue", PLAIN_QUEUE, "--alerts", PLAIN_ALERTS, "--seconds", str(self.run.seconds)),
            ],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            check=False,
        )
        if answer.returncode:
            raise CannotMeasureError(f"the plain worker failed: {answer.stderr[-1000:]}")
        done = json.loads(answer.stdout)
        self._check([PLAIN_ALERTS], done["matched"])
        self.client.delete(PLAIN_QUEUE)
        return float(done["events"] / done["seconds"])

    def _fill(self, name: str, count: int) -> int:
        """Push `count` events as the ingestor would have; how many of them a rule matches."""
        head = b'{"correlation_id":"%s","received_at":"%s",' % (
            str(uuid.uuid4()).encode(),
            now_rfc3339().encode(),
        )
        stem = uuid.uuid4().hex[:24].encode()
        for start in range(0, count, CHUNK):
            chunk = [
                b'%s"event_id":"%s-%08d",%s' % (head, stem, n, self.samples[n % len(self.samples)])
                for n in range(start, min(start + CHUNK, count))
            ]
            self.client.lpush(name, *chunk)
        return count // MATCHED_EVERY

    def _wait_until_settled(self, lists: list[str], deadline: float) -> None:
        while True:
            with self.client.pipeline() as pipe:
                for key in lists:
                    pipe.llen(key)
                if not any(pipe.execute()):
                    return
            if time.monotonic() > deadline:
                raise CannotMeasureError(
                    f"the alerter did not settle its events within {DRAIN_TIMEOUT_SECS} s"
                )
            time.sleep(POLL_SECS)

    def _check(self, alerts: list[str], matched: int) -> None:
        """Every matched event is one audit row and one alert; both are taken away."""
        rows = self.run.stores.postgres.execute("SELECT count(*) FROM event_audit_log", self.database)
        pushed = sum(self.client.llen(name) for name in alerts)
        if (rows, pushed) != ([(matched,)], matched):
            raise CannotMeasureError(f"{matched} events matched, {rows[0][0]} audit rows, {pushed} alerts")
        self.client.delete(*alerts)
        for statement in ("TRUNCATE event_audit_log", "CHECKPOINT"):
            self.run.stores.postgres.execute(statement, self.database)


def bench(run: Run) -> list[Figure]:
    """Events a second of each, a tenth of them matched and audited."""
    progress = run.about("alerter")
    source = traffic(RULES)
    # Without the opening brace: `_fill` puts ids before the fields.
    samples = [orjson.dumps(event)[1:] for event in events(source, DISTINCT_EVENTS, MATCHED_EVERY)]
    run.stores.empty_redis()
    database = run.stores.new_database(source.rules)
    target = appliance.start(run.stores, database, roles=("alerter",), env=ENVIRONMENT)
    try:
        target.wait_for_log("Cache reload complete")
        with run.stores.redis.client() as client:
            contest = Contest(run, database, client, samples)
            progress("warming up")
            contest.ours()
            contest.plain()
            plain, ours = in_turns(run.rounds, [contest.plain, contest.ours], progress)
    finally:
        target.close()
        run.stores.empty_redis()
    return [
        Figure(
            "alerter_ratio",
            f"alerter, {RULES:,} rules",
            rate(ours.median, "events/s"),
            ours.median / plain.median,
            f"the plain way {rate(plain.median, 'events/s')}",
            f"one process, 1 in {MATCHED_EVERY} matched and audited, fsync on; "
            f"spread {ours.spread:.0%}, reference {plain.spread:.0%}",
        )
    ]
