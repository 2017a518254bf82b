"""A webhook on the loopback address that stands for Moogsoft: it mostly says yes."""

from __future__ import annotations

import asyncio
import hmac
import socket
import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

RECENT_KEPT: Final = 20
# Well above MOOG_WEBHOOK_TIMEOUT of the demonstration, so that the forwarder gives up first.
HANG_SECS: Final = 5.0


@dataclass(frozen=True)
class Answer:
    """What one request gets; after `hang_secs` it is too late for whoever asked."""

    status: int
    retry_after_secs: int | None = None
    hang_secs: float = 0.0


def answer_to(number: int) -> Answer:
    """The answer to request `number`, from 1: four kinds of trouble, each at its own pace."""
    if number % 89 == 0:
        return Answer(404)
    if number % 67 == 0:
        return Answer(200, hang_secs=HANG_SECS)
    if number % 53 == 0:
        return Answer(429, retry_after_secs=1)
    if number % 29 == 0:
        return Answer(503)
    return Answer(200)


class Receiver:
    """The server, in a thread of its own. What it accepted is there to be read at any time."""

    def __init__(self, api_key: str, port: int) -> None:
        """`port` 0 takes any free one; raises OSError when it cannot be had."""
        self._key = api_key.encode()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.requests = 0
        self.answers: Counter[str] = Counter()
        self.delivered: set[str] = set()
        self.deliveries = 0
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_KEPT)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Value for MOOG_WEBHOOK_URL."""
        return f"http://127.0.0.1:{self.port}/moog"

    def start(self) -> None:
        """Serve from now on."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._loop = None
        self._listener.close()

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None, "start makes it"  # noqa: S101
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/moog", self._take)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
        await self._stop.wait()
        await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        given = request.headers.get("X-API-KEY", "").encode("utf-8", "replace")
        event = orjson.loads(await request.read())
        if not hmac.compare_digest(given, self._key):
            self.answers["401"] += 1
            return web.Response(status=401)
        self.requests += 1
        answer = answer_to(self.requests)
        if answer.hang_secs:
            self.answers["no answer"] += 1
            await asyncio.sleep(answer.hang_secs)
            return web.Response(status=504)
        self.answers[str(answer.status)] += 1
        if answer.status == 200:
            self.delivered.add(str(event.get("external_id")))
            self.deliveries += 1
            self.recent.append(event)
        headers = {} if answer.retry_after_secs is None else {"Retry-After": str(answer.retry_after_secs)}
        return web.json_response({"status": answer.status}, status=answer.status, headers=headers)
