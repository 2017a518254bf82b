"""The web UI process: pages, the API below /api/v1, GET /status (plain text), /health and /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time

import uvloop
from aiohttp import web

from mutt_appliance.process import Child
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.fullness import trouble_of
from mutt_appliance.queueing.shards import AsyncShard
from mutt_appliance.telemetry.endpoints import add_endpoints, serve
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import SourceMetrics, TlsMetrics, VaultMetrics, WebuiMetrics
from mutt_appliance.telemetry.secret_use import KeyUse
from mutt_appliance.telemetry.source_health import source_health
from mutt_appliance.tls.inventory import webui_door
from mutt_appliance.tls.live import open_door
from mutt_appliance.tls.watch import CertificateWatch
from mutt_appliance.webui.api import OPERATIONS
from mutt_appliance.webui.archiving import Archiving
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
PROBE_AWAY_SECS = 1.0


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
    tls = TlsMetrics()
    door = open_door(webui_door(child.settings), tls)
    certificates = CertificateWatch(child, door, tls)
    runner = await serve(app, child.sockets["http"], ssl_context=door.context if door else None)
    stopping = asyncio.Event()

    def reload() -> None:
        webui.reload()
        certificates.reload()

    child.bind_loop(asyncio.get_running_loop(), stopping.set, reload)
    certificates.turn()
    tasks = [
        asyncio.create_task(each)
        for each in (webui.watch_stores(), webui.gauges.keep(), webui.archiving.watch())
    ]
    level = webui.tell_log_level()
    while not stopping.is_set():
        for task in tasks:
            if task.done():
                # It never ends by itself but by an error that nobody foresaw.
                task.result()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TICK_SECS)
        certificates.turn()
        if webui.stores.live.current.log_level != level:
            level = webui.tell_log_level()
        child.beat()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await runner.cleanup()
    await webui.close()


class Webui:
    """The pages of one process."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.metrics = WebuiMetrics()
        self.stores = Stores(child, self.metrics)
        self.archiving = Archiving(child, self.stores)
        self._use = KeyUse("webui_api_key", child.secrets)
        self._source_metrics = SourceMetrics()
        self._vault_metrics: VaultMetrics | None = None
        self.gauges = Gauges(self.stores, self.metrics)
        self.keyring = KeyRing(child, self.stores, self._use)
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
                return await read_state(self.stores.shards)
        except (RedisError, OSError, TimeoutError):
            return None

    async def watch_stores(self) -> None:
        """See how the stores are and tell the supervisor, for ever; a silent store holds up nothing but this."""
        await asyncio.gather(asyncio.to_thread(self.stores.live.start, self._child.stopping), self.probe())
        self._child.ready()
        while True:
            await self.tell()
            self.tell_log_level()
            away = self.stores.database_trouble is not None
            await asyncio.sleep(PROBE_AWAY_SECS if away else PROBE_INTERVAL_SECS)
            await self.probe()

    async def tell(self) -> None:
        """Report the pipeline to the supervisor, who has no Redis of its own, for systemd's status line."""
        self._child.report("pipeline", **summary(await self._state()))

    def tell_log_level(self) -> str:
        """Report the level in force to the supervisor, for its own lines; also again, should one get lost."""
        level = self.stores.live.current.log_level
        self._child.report("log_level", level=level)
        return level

    async def probe(self) -> None:
        """See how the stores are, for /health."""
        await asyncio.gather(*map(self._probe_redis, self.stores.shards))
        # What is left in shards of an earlier configuration is shown, too.
        with contextlib.suppress(RedisError, OSError):
            await self.stores.look_for_shards()
        await self.stores.look_at_database()
        trouble = self.stores.database_trouble
        self._note("database", trouble is None, trouble or "ok")
        self._look_at_source()

    async def _probe_redis(self, shard: AsyncShard) -> None:
        settings, component = self._child.settings, shard.component("redis")
        try:
            async with asyncio.timeout(settings.redis_timeout):
                await shard.client.ping()
        except (RedisError, OSError, TimeoutError) as error:
            self._note(component, False, trouble_of(settings.redis_where, error))
        else:
            self._note(component, True, "ok")

    def _look_at_source(self) -> None:
        """The supervisor, who has no port of its own, writes how the source of secrets is."""
        told = source_health(self._child.settings.mutt_runtime_dir, time.time())
        if told is None:
            return
        self._note("secrets", told.ok, told.detail)
        self._source_metrics.version.set(told.version)
        if told.kind == "vault":
            self._vault_metrics = self._vault_metrics or VaultMetrics()
            self._vault_metrics.up.set(1 if told.ok else 0)
            self._vault_metrics.token_ttl.set(max(0.0, told.token_ends_at - time.time()))

    def reload(self) -> None:
        """SIGHUP: secrets may be new. The ring of keys looks at them each time."""
        self.stores.use_secrets(self._child.secrets)
        self._use.renew(self._child.secrets)
        log.info("reloaded")

    def _note(self, component: str, ok: bool, detail: str) -> None:
        if self._child.health.set(component, ok, detail):
            (log.info if ok else log.error)("store", component=component, state=detail)

    async def close(self) -> None:
        """Close the connections."""
        await self.stores.close()
