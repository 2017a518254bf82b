"""The ingestor process: serves POST /ingest, /health and /metrics until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib

import uvloop
from aiohttp import web

from mutt_appliance.ingestor.doors import Doors
from mutt_appliance.ingestor.handler import IngestHandler
from mutt_appliance.ingestor.rates import AcceptedCounter
from mutt_appliance.ingestor.traced import TracedHandler
from mutt_appliance.ingestor.upkeep import Upkeep
from mutt_appliance.process import Child, look_less_for_cycles
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.queueing.outcomes import OutcomeCounter
from mutt_appliance.queueing.shards import async_shards, close_all
from mutt_appliance.telemetry.endpoints import BACKLOG, add_endpoints
from mutt_appliance.telemetry.metrics import IngestorMetrics, TlsMetrics
from mutt_appliance.telemetry.secret_use import KeyUse
from mutt_appliance.tls.inventory import ingest_door
from mutt_appliance.tls.live import open_door
from mutt_appliance.tls.watch import CertificateWatch

TICK_SECS = 0.5


def run(child: Child) -> None:
    """Serve until SIGTERM; requests under way are finished first."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(child))


async def _serve(child: Child) -> None:
    settings = child.settings
    shards = async_shards(settings, lambda: child.secrets, child.name)
    metrics = IngestorMetrics()
    accepted = AcceptedCounter(shards.home)
    doors = Doors(shards, settings)
    upkeep = Upkeep(child, shards.home, doors, accepted)
    use = KeyUse("ingest_api_key", child.secrets)
    outcomes = OutcomeCounter(shards.home.client, shards.home.keys, "ingestor")
    handler = IngestHandler(settings, child.secrets, use, doors, metrics, accepted, outcomes)
    tls = TlsMetrics()
    door = open_door(ingest_door(settings), tls)
    certificates = CertificateWatch(child, door, tls)

    app = web.Application(client_max_size=settings.ingest_max_body_bytes)
    tracing = child.start_tracing()
    app.router.add_post("/ingest", TracedHandler(handler, tracing).handle if tracing else handler.handle)
    add_endpoints(app, settings.mutt_runtime_dir, child.spec.role)
    # Bodies are unpacked by `unpack`, which knows when to stop.
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        auto_decompress=False,
        shutdown_timeout=settings.drain_timeout,
    )
    await runner.setup()
    context = door.context if door else None
    site = web.SockSite(runner, child.sockets["http"], backlog=BACKLOG, ssl_context=context)
    await site.start()

    stopping = asyncio.Event()

    def reload() -> None:
        handler.use_secrets(child.secrets)
        certificates.reload()

    child.bind_loop(asyncio.get_running_loop(), stopping.set, reload)
    listening = blocking_client(settings, lambda: child.secrets, child.name)
    live = LiveSettings(settings, listening, shards.home.keys)
    await asyncio.gather(asyncio.to_thread(live.start, child.stopping), upkeep.start())
    _tell(child, handler, doors, metrics)
    certificates.turn()
    writing = asyncio.create_task(outcomes.keep())
    look_less_for_cycles()
    child.ready()
    while not stopping.is_set():
        if writing.done():
            # It never ends by itself but by an error that nobody foresaw.
            writing.result()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TICK_SECS)
        certificates.turn()
        _tell(child, handler, doors, metrics)
    handler.draining = True
    await runner.cleanup()
    await upkeep.stop()
    _tell(child, handler, doors, metrics)
    writing.cancel()
    await asyncio.wait([writing])
    await outcomes.write()
    await close_all(shards)
    listening.close()


def _tell(child: Child, handler: IngestHandler, doors: Doors, metrics: IngestorMetrics) -> None:
    """Twice a second: tell the metrics, and beat."""
    handler.tell_metrics()
    metrics.queue_depth.set(doors.depth)
    metrics.dlq_depth.set(doors.dead_depth)
    child.beat()
