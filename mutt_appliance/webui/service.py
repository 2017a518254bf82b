"""The web UI process: pages, the API below /api/v1, GET /status (plain text), /health and /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time

import psycopg2
import uvloop
from aiohttp import web
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.process import Child
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.telemetry.endpoints import add_endpoints, serve
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import WebuiMetrics
from mutt_appliance.webui.api import OPERATIONS
from mutt_appliance.webui.gauges import Gauges
from mutt_appliance.webui.keyring import KeyRing
from mutt_appliance.webui.operations import BODY_MAX_BYTES
from mutt_appliance.webui.pages import PAGES
from mutt_appliance.webui.pages.serving import Site
from mutt_appliance.webui.serving import (
    add_document,
    add_operations,
    as_problem,
    problems_below_api,
    who_asks,
)
from mutt_appliance.webui.sessions import Sessions
from mutt_appliance.webui.status import PipelineState, read_state, render, summary
from mutt_appliance.webui.stores import Stores

log = get_logger("webui")
TICK_SECS = 0.5
PROBE_INTERVAL_SECS = 5.0


def run(child: Child) -> None:
    """Serve until SIGTERM."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(child))


async def _serve(child: Child) -> None:
    webui = Webui(child)
    site = Site(webui.stores, webui.sessions, webui.metrics)
    app = web.Application(middlewares=[problems_below_api, site.middleware], client_max_size=BODY_MAX_BYTES)
    app.router.add_get("/status", webui.status)
    site.add_to(app, PAGES)
    add_operations(app, OPERATIONS, webui.stores, webui.keyring, webui.sessions, webui.metrics)
    add_document(app, OPERATIONS)
    add_endpoints(app, child.settings.mutt_runtime_dir, child.spec.role)
    runner = await serve(app, child.sockets["http"])
    stopping = asyncio.Event()
    child.bind_loop(asyncio.get_running_loop(), stopping.set)
    await webui.probe()
    child.ready()
    await webui.tell()
    gauges = asyncio.create_task(webui.gauges.keep())
    last_probe = time.monotonic()
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TICK_SECS)
        if time.monotonic() - last_probe > PROBE_INTERVAL_SECS:
            await webui.probe()
            await webui.tell()
            last_probe = time.monotonic()
        if gauges.done():
            # It never ends by itself but by an error that nobody foresaw.
            gauges.result()
        child.beat()
    gauges.cancel()
    await asyncio.wait([gauges])
    await runner.cleanup()
    await webui.close()


class Webui:
    """The pages of one process."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.metrics = WebuiMetrics()
        self.stores = Stores(child, self.metrics)
        self.gauges = Gauges(self.stores, self.metrics)
        self.keyring = KeyRing(child, self.stores)
        self.sessions = Sessions(self.stores, self.keyring)

    async def status(self, request: web.Request) -> web.Response:
        """The pipeline in plain text, also while a store is away; 503 when something is wrong."""
        started = time.perf_counter()
        try:
            await who_asks(request, self.keyring, self.sessions)
        except Exception as error:  # noqa: BLE001 - every error is an answer, and ours are logged
            problem = as_problem(error, "/status")
            response = web.Response(text=problem.detail + "\n", status=problem.status.value)
        else:
            well, text = render(await self._state(), self._child.settings.mutt_runtime_dir)
            response = web.Response(text=text, status=200 if well else 503)
        self.metrics.requests.labels(endpoint="/status", status=str(response.status)).inc()
        self.metrics.latency.labels(endpoint="/status").observe(time.perf_counter() - started)
        return response

    async def _state(self) -> PipelineState | None:
        try:
            async with asyncio.timeout(self._child.settings.redis_timeout):
                return await read_state(self.stores.redis, self.stores.keys)
        except (RedisError, OSError, TimeoutError):
            return None

    async def tell(self) -> None:
        """Report the pipeline to the supervisor, who has no Redis of its own, for systemd's status line."""
        self._child.report("pipeline", **summary(await self._state()))

    async def probe(self) -> None:
        """See how the stores are, for /health."""
        settings = self._child.settings
        try:
            async with asyncio.timeout(settings.redis_timeout):
                await self.stores.redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            self._note("redis", False, f"{settings.redis_address} does not answer: {type(error).__name__}")
        else:
            self._note("redis", True, "ok")
        try:
            await self.stores.run(probe)
        except (StoreUnavailable, psycopg2.Error) as error:
            self._note("database", False, str(error).strip())
        else:
            self._note("database", True, "ok")

    def _note(self, component: str, ok: bool, detail: str) -> None:
        if self._child.health.set(component, ok, detail):
            (log.info if ok else log.error)("store", component=component, state=detail)

    async def close(self) -> None:
        """Close the connections."""
        await self.stores.close()


def probe(conn: Connection) -> None:
    """Ask the database for nothing."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1")
