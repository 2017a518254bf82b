"""One forwarder process without a rate limit, against a webhook that answers at once."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Self

import uvloop

from bench import appliance
from bench.http_load import Webhook
from bench.ingest import key_spaces
from bench.measure import Series
from bench.report import Figure, rate
from bench.run import Run
from bench.sizes import EVENTS, fill_alert_queue
from bench.traffic import traffic
from tests.support.waiting import free_port, wait_until

RULES = 1_000
# The first of them come while the process starts.
WARM_UP_ALERTS = EVENTS // 10
TIMEOUT_SECS = 300.0


class Receiver:
    """The webhook, in a thread; `alerts` is how many came."""

    def __init__(self) -> None:
        self.alerts = 0
        self.port = free_port()
        self._serving, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), name="webhook", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._serving.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Webhook(self._note), "127.0.0.1", self.port)
        self._serving.set()
        while not self._stopping.is_set():
            await asyncio.sleep(0.1)
        server.close()

    def _note(self, _: bytes) -> None:
        self.alerts += 1


def bench(run: Run) -> list[Figure]:
    """Alerts a second of one process, one a request; the whole queue is one measurement."""
    progress = run.about("forwarder")
    source = traffic(RULES)
    values = []
    for number in range(min(run.rounds, 3)):
        progress(f"{EVENTS:,} alerts, round {number + 1}")
        run.stores.empty_redis()
        database = run.stores.new_database(source.rules)
        fill_alert_queue(run, database, source)
        values.append(_alerts_per_sec(run, database))
    run.stores.empty_redis()
    series = Series(tuple(values))
    return [
        Figure(
            None,
            "forwarder, one process, no rate limit",
            rate(series.median, "alerts/s"),
            series.median,
            remark=f"one alert a request, answered at once; spread {series.spread:.0%}",
        )
    ]


def _alerts_per_sec(run: Run, database: str) -> float:
    with Receiver() as receiver, run.stores.redis.client() as client:
        env = {
            "MOOG_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/moog",
            "MOOG_RATE_LIMIT": "1000000",
            "FORWARDER_WORKERS": "1",
        }
        with appliance.start(run.stores, database, roles=("forwarder",), env=env):
            wait_until(lambda: receiver.alerts >= WARM_UP_ALERTS, TIMEOUT_SECS, "the forwarder is at work")
            before, begun = receiver.alerts, time.monotonic()
            queue = key_spaces(1)[0].alert_queue
            wait_until(lambda: client.llen(queue) == 0, TIMEOUT_SECS, "all alerts are claimed")
            return (receiver.alerts - before) / (time.monotonic() - begun)
