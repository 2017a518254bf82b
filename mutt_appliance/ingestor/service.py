"""The ingestor process: serves POST /ingest, /health and /metrics until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib

import uvloop
from aiohttp import web

from mutt_appliance.ingestor.group_commit import GroupCommit
from mutt_appliance.ingestor.handler import IngestHandler
from mutt_appliance.ingestor.rates import AcceptedCounter
from mutt_appliance.process import Child, look_less_for_cycles
from mutt_appliance.queueing.client import RedisError, async_client
from mutt_appliance.queueing.intake import IngestQueue
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.outcomes import OutcomeCounter
from mutt_appliance.telemetry.endpoints import BACKLOG, add_endpoints
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import IngestorMetrics

log = get_logger("ingestor")
TICK_SECS = 0.5
# Above this share of the cap the queue is reported as nearly full.
NEARLY_FULL = 0.9


def run(child: Child) -> None:
    """Serve until SIGTERM; requests under way are finished first."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(child))


async def _serve(child: Child) -> None:
    settings = child.settings
    keys = KeySpace(settings)
    client = async_client(settings, child.secrets, child.name)
    metrics = IngestorMetrics()
    accepted = AcceptedCounter(client, keys)
    outcomes = OutcomeCounter(client, keys, "ingestor")
    commit = GroupCommit(IngestQueue(client, keys, settings))
    handler = IngestHandler(settings, child.secrets.ingest_api_key, commit, metrics, accepted, outcomes)

    app = web.Application(client_max_size=settings.ingest_max_body_bytes)
    app.router.add_post("/ingest", handler.handle)
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
    site = web.SockSite(runner, child.sockets["http"], backlog=BACKLOG)
    await site.start()

    stopping = asyncio.Event()
    child.bind_loop(
        asyncio.get_running_loop(), stopping.set, lambda: handler.use_key(child.secrets.ingest_api_key)
    )
    await _tick(child, handler, accepted, metrics)
    writing = asyncio.create_task(outcomes.keep())
    look_less_for_cycles()
    child.ready()
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TICK_SECS)
        await _tick(child, handler, accepted, metrics)
    handler.draining = True
    await runner.cleanup()
    await _tick(child, handler, accepted, metrics)
    writing.cancel()
    await asyncio.wait([writing])
    await outcomes.write()
    await client.aclose()


async def _tick(
    child: Child, handler: IngestHandler, accepted: AcceptedCounter, metrics: IngestorMetrics
) -> None:
    """Twice a second: beat; tell the metrics; flush the counters at most once a second; see how Redis is."""
    handler.tell_metrics()
    now = asyncio.get_running_loop().time()
    if now - accepted.flushed_at >= 1.0 or child.stopping.is_set():
        accepted.flushed_at = now
        try:
            async with asyncio.timeout(child.settings.redis_timeout):
                queue_depth, dead_depth = await accepted.flush()
        except (RedisError, OSError, TimeoutError) as error:
            text = f"{child.settings.redis_address} does not answer: {type(error).__name__}"
            if child.health.set("redis", False, text):
                log.error("redis is away, events are refused with 503", error=str(error))
        else:
            metrics.queue_depth.set(queue_depth)
            metrics.dlq_depth.set(dead_depth)
            if child.health.set("redis", True):
                log.info("redis answers")
            _queue_health(child, queue_depth)
    child.beat()


def _queue_health(child: Child, depth: int) -> None:
    cap = child.settings.max_ingest_queue_size
    child.health.fact("ingest_queue_depth", depth)
    if depth >= cap:
        child.health.set(
            "ingest_queue", False, f"full: MAX_INGEST_QUEUE_SIZE={cap}; events are refused with 503"
        )
    elif depth >= NEARLY_FULL * cap:
        child.health.set(
            "ingest_queue", True, f"nearly full: over {NEARLY_FULL:.0%} of MAX_INGEST_QUEUE_SIZE={cap}"
        )
    else:
        child.health.set("ingest_queue", True)
