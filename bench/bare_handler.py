"""The reference for single-event POSTs: as little as aiohttp can do, run in the ingestor's place."""

from __future__ import annotations

import asyncio
import contextlib

import uvloop
from aiohttp import web

from mutt_appliance.process import Child

TICK_SECS = 0.5
ANSWER = b'{"status": "queued"}\n'


def run(child: Child) -> None:
    """Serve until SIGTERM."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(child))


async def _serve(child: Child) -> None:
    app = web.Application()
    app.router.add_post("/ingest", _answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.SockSite(runner, child.sockets["http"], backlog=1024).start()
    stopping = asyncio.Event()
    child.bind_loop(asyncio.get_running_loop(), stopping.set)
    child.ready()
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TICK_SECS)
        child.beat()
    await runner.cleanup()


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")
