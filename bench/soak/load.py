"""Events into the appliance from a thread of its own, and the webhook that takes its alerts."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any, Self

import orjson
import uvloop

from bench.http_load import Sender, Webhook, request_bytes
from tests.support.waiting import free_port

BATCH = 50
CONNECTIONS = 16
TICK_SECS = 0.01


class Load:
    """Posts batches of `events`, over and over, each event with an id of the sender's that never comes again.

    Until `keep_to` is called it sends as fast as answers come while `open` is true. `refused` counts what was not
    answered with 2xx by the begin of the answer, broken connections among it. `alerts` is what the webhook got.
    """

    def __init__(self, events: Sequence[dict[str, Any]]) -> None:
        self.webhook_port = free_port()
        self.open = False
        self.accepted = 0
        self.alerts = 0
        self.refused: Counter[str] = Counter()
        # Without the opening brace: the id comes before the fields.
        self._pieces = [orjson.dumps(event)[1:] for event in events]
        self._rate: float | None = None
        self._free: deque[Sender] = deque()
        self._senders: set[Sender] = set()

    @property
    def webhook_url(self) -> str:
        """Value for MOOG_WEBHOOK_URL."""
        return f"http://127.0.0.1:{self.webhook_port}/moog"

    def start(self, port: int, api_key: str) -> Self:
        """Begin, closed, to an ingestor on `port`; ends with `stop`."""
        self._port = port
        self._requests = (request_bytes(port, body, api_key) for body in self._bodies())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), name="load", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Offer nothing more and close the connections."""
        self._stopping.set()
        self._thread.join()

    def keep_to(self, events_per_sec: float) -> None:
        """From now on send at this rate, whether `open` or not; what an answer holds up is sent after it."""
        self._since, self._sent = time.monotonic(), 0
        self._rate = events_per_sec

    def _bodies(self) -> Iterator[bytes]:
        stem = uuid.uuid4().hex[:20].encode()
        numbered = enumerate(itertools.cycle(self._pieces))
        while True:
            parts = [b'{"event_id":"%s%012d",%s' % (stem, n, p) for n, p in itertools.islice(numbered, BATCH)]
            yield b"[" + b",".join(parts) + b"]"

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Webhook(self._note), "127.0.0.1", self.webhook_port)
        try:
            while not self._stopping.is_set():
                while len(self._senders) < CONNECTIONS:
                    await self._connect(loop)
                self._pump()
                await asyncio.sleep(TICK_SECS)
        finally:
            server.close()
            for sender in self._senders:
                sender.close()

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            _, sender = await loop.create_connection(lambda: Sender(self._release), "127.0.0.1", self._port)
        except OSError as error:
            self.refused[type(error).__name__] += 1
            await asyncio.sleep(1)
            return
        self._senders.add(sender)
        self._free.append(sender)

    def _pump(self) -> None:
        while self._free and self._due():
            self._free.popleft().send(next(self._requests))

    def _due(self) -> bool:
        if self._rate is None:
            return self.open
        if self._sent >= (time.monotonic() - self._since) * self._rate:
            return False
        self._sent += BATCH
        return True

    def _release(self, sender: Sender, answer: bytes) -> None:
        if self._stopping.is_set():
            return
        if sender.lost:
            self.refused["connection lost"] += 1
            self._senders.discard(sender)
            if sender in self._free:
                self._free.remove(sender)
            return
        if answer[9:10] == b"2":
            self.accepted += BATCH
        else:
            self.refused[answer.partition(b"\r\n")[0].decode("latin-1")] += 1
        self._free.append(sender)
        self._pump()

    def _note(self, _: bytes) -> None:
        self.alerts += 1
