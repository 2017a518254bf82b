"""/metrics and /health of a pool over HTTP, for a role that has an event loop and for one that has none."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import threading
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mutt_appliance.telemetry.health import pool_health
from mutt_appliance.telemetry.metrics import exposition

# As the supervisor bound them: aiohttp listens again, and its own default would make the queue shorter.
BACKLOG = 1024
CONTENT_TYPE_METRICS = "text/plain; version=0.0.4; charset=utf-8"
MESSAGE_MAX_CHARS = 200


class _MalformedHttp(logging.Filter):
    """What is not HTTP is answered with 400 by aiohttp; anybody can send it, so it is a line and no traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg += ": %s"
            record.args = (*(record.args or ()), error.message.split("\n", 1)[0][:MESSAGE_MAX_CHARS])
        return True


_malformed_http = _MalformedHttp()


def add_endpoints(app: web.Application, runtime_dir: Path, role: str) -> None:
    """Add GET /metrics and GET /health (200 all well, 503 otherwise) to `app`."""
    # Adding the same filter again does nothing.
    logging.getLogger("aiohttp.server").addFilter(_malformed_http)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=exposition(runtime_dir, role), headers={"Content-Type": CONTENT_TYPE_METRICS}
        )

    async def health(_: web.Request) -> web.Response:
        well, document = pool_health(runtime_dir, role)
        return web.Response(
            text=json.dumps(document, indent=2) + "\n",
            status=200 if well else 503,
            content_type="application/json",
        )

    app.router.add_get("/metrics", metrics)
    app.router.add_get("/health", health)


async def serve(
    app: web.Application, *sockets: socket.socket, ssl_context: ssl.SSLContext | None = None
) -> web.AppRunner:
    """Serve `app` on sockets that already listen; the caller cleans the runner up."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    for listener in sockets:
        await web.SockSite(runner, listener, backlog=BACKLOG, ssl_context=ssl_context).start()
    return runner


def serve_endpoints_in_thread(runtime_dir: Path, role: str, *sockets: socket.socket) -> None:
    """Serve /metrics and /health from a daemon thread, for a role whose main thread is busy with its work."""

    def run() -> None:
        async def main() -> None:
            app = web.Application()
            add_endpoints(app, runtime_dir, role)
            await serve(app, *sockets)
            await asyncio.Event().wait()

        asyncio.run(main())

    threading.Thread(target=run, name="endpoints", daemon=True).start()
