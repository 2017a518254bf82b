"""From POST to webhook at a steady rate, and the memory of the appliance meanwhile.

Sender and receiver are one process with one clock. An event's time begins when it is due, not when a
connection was free for it, so that a stall counts for every event that it held up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import orjson
import uvloop

from bench import appliance
from bench.http_load import Sender, Webhook, request_bytes
from bench.measure import percentile
from bench.report import Figure
from bench.run import CannotMeasureError, Run
from bench.traffic import events, traffic
from tests.support.waiting import free_port

RULES = 1_000
EVENTS_PER_SEC = 500
CONNECTIONS = 32
# Not measured: connections are made and caches filled first; memory is looked at last, under load.
WARM_UP_EVENTS = 500
TAIL_EVENTS = 1_000
IDLE_SECS = 3.0
ARRIVAL_TIMEOUT_SECS = 30.0
ID_PREFIX = "bench-e2e-"


def bench(run: Run) -> list[Figure]:
    """Milliseconds from POST to webhook, and megabytes of all MUTT processes without the stores."""
    progress = run.about("end-to-end")
    source = traffic(RULES)
    measured = max(EVENTS_PER_SEC, int(run.rounds * run.seconds * EVENTS_PER_SEC))
    total = WARM_UP_EVENTS + measured + TAIL_EVENTS
    bodies = [
        orjson.dumps({**event, "event_id": f"{ID_PREFIX}{number}"})
        for number, event in enumerate(events(source, total, matched_every=1))
    ]
    run.stores.empty_redis()
    database = run.stores.new_database(source.rules)
    webhook_port = free_port()
    env = {"MOOG_WEBHOOK_URL": f"http://127.0.0.1:{webhook_port}/moog", "MOOG_RATE_LIMIT": "1000000"}
    target = appliance.start(run.stores, database, env=env)
    try:
        target.wait_for_log("Cache reload complete")
        time.sleep(IDLE_SECS)
        idle_mb = appliance.pss_mb(target)
        progress(f"{total:,} events at {EVENTS_PER_SEC} a second")
        port = target.ports["SERVER_PORT_INGESTOR"]
        requests = [request_bytes(port, body, target.api_key) for body in bodies]
        passage = Passage(requests, port, webhook_port)
        loaded_mb = uvloop.run(passage.send_all(WARM_UP_EVENTS + measured, lambda: appliance.pss_mb(target)))
        processes = len(target.processes()) + 1
    finally:
        target.close()
        run.stores.empty_redis()
    times = sorted(passage.milliseconds()[WARM_UP_EVENTS : WARM_UP_EVENTS + measured])
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    what = f"POST to webhook, {EVENTS_PER_SEC} events/s"
    return [
        Figure("e2e_p50_ms", f"{what}, p50", f"{p50:.1f} ms", p50),
        Figure(
            "e2e_p99_ms",
            f"{what}, p99",
            f"{p99:.1f} ms",
            p99,
            remark=f"of {measured:,}; slowest {times[-1]:.1f} ms",
        ),
        Figure("pss_idle_mb", "memory (PSS), idle", f"{idle_mb:.1f} MB", idle_mb),
        Figure(
            "pss_loaded_mb",
            "memory (PSS), under this load",
            f"{loaded_mb:.1f} MB",
            loaded_mb,
            remark=f"{processes} processes, stores not among them",
        ),
    ]


class Passage:
    """Sends requests at a steady rate and notes when the event of each reaches the webhook."""

    def __init__(self, requests: Sequence[bytes], port: int, webhook_port: int) -> None:
        self._requests = requests
        self._port = port
        self._webhook_port = webhook_port
        self._due: list[float] = []
        self._arrived: dict[int, float] = {}
        self._free: deque[Sender] = deque()
        self._senders: list[Sender] = []
        self._some_free = asyncio.Event()
        self._all_arrived = asyncio.Event()
        self._refused: list[bytes] = []

    def milliseconds(self) -> list[float]:
        """Time of each event, in the order of sending."""
        return [(self._arrived[n] - due) * 1000 for n, due in enumerate(self._due)]

    async def send_all(self, look_after: int, look: Callable[[], float]) -> float:
        """Send every request; what `look` says, asked in a thread after `look_after` events.

        Raises CannotMeasureError when an event is refused or does not arrive.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Webhook(self._note), "127.0.0.1", self._webhook_port)
        for _ in range(CONNECTIONS):
            _, sender = await loop.create_connection(lambda: Sender(self._release), "127.0.0.1", self._port)
            self._senders.append(sender)
            self._free.append(sender)
        looking: asyncio.Task[float] | None = None
        started = time.monotonic()
        for number, request in enumerate(self._requests):
            due = started + number / EVENTS_PER_SEC
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            while not self._free:
                self._some_free.clear()
                await self._some_free.wait()
            self._due.append(due)
            self._free.popleft().send(request)
            if number == look_after:
                looking = asyncio.create_task(asyncio.to_thread(look))
        await self._wait_for_arrival()
        for sender in self._senders:
            sender.close()
        server.close()
        return await looking if looking else 0.0

    async def _wait_for_arrival(self) -> None:
        try:
            async with asyncio.timeout(ARRIVAL_TIMEOUT_SECS):
                await self._all_arrived.wait()
        except TimeoutError:
            missing = len(self._requests) - len(self._arrived)
            refused = f", {len(self._refused)} refused: {self._refused[0][:300]!r}" if self._refused else ""
            raise CannotMeasureError(
                f"{missing} of {len(self._requests)} events did not reach the webhook within "
                f"{ARRIVAL_TIMEOUT_SECS} s{refused}"
            ) from None

    def _note(self, body: bytes) -> None:
        event_id: str = orjson.loads(body)["custom_info"]["event_id"]
        self._arrived.setdefault(int(event_id.removeprefix(ID_PREFIX)), time.monotonic())
        if len(self._arrived) == len(self._requests):
            self._all_arrived.set()

    def _release(self, sender: Sender, answer: bytes) -> None:
        if answer[9:10] != b"2":
            self._refused.append(answer)
        self._free.append(sender)
        self._some_free.set()
