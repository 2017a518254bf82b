"""A small real HTTP server in the place of the ingestor, which fails in the ways it is told to."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import free_port

# What to do with a request: answer with a status and headers and a body, or hang up.
Behaviour = Callable[["_Handler", list[dict[str, Any]]], None]


class IngestStub:
    """Takes NDJSON on POST /ingest as the ingestor does; `behaviours` are used up first, one a request."""

    def __init__(
        self,
        api_key: str = "test-ingest-key",
        port: int | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """With `context` it speaks TLS."""
        self.api_key = api_key
        self.context = context
        self.port = port or free_port()
        self.behaviours: list[Behaviour] = []
        self.events: dict[str, dict[str, Any]] = {}
        self.times_seen: Counter[str] = Counter()
        self.requests: list[int] = []
        self.lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}/ingest"

    @property
    def messages(self) -> list[str]:
        """Messages of the accepted events, in the order in which they first arrived."""
        with self.lock:
            return [event["message"] for event in self.events.values()]

    def accept(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Keep the events, each event id once; the ingestor's report about them."""
        with self.lock:
            new = [event for event in events if event["event_id"] not in self.events]
            self.events.update((event["event_id"], event) for event in new)
            self.times_seen.update(event["event_id"] for event in events)
        return {"queued": len(new), "duplicates": len(events) - len(new), "refused": []}

    def start(self) -> IngestStub:
        """Listen; may be called again after `stop`."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _Handler, bind_and_activate=False)
        server.allow_reuse_address = True
        server.daemon_threads = True
        server.server_bind()
        server.server_activate()
        if self.context is not None:
            # The handshake belongs to the thread of a request, not to the one that accepts.
            server.socket = self.context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        server.stub = self  # type: ignore[attr-defined]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and hang up on every client."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> IngestStub:
        return self.start()

    def __exit__(self, *unused: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body are two writes; without this each answer takes 40 ms.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        stub: IngestStub = self.server.stub  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if stub._server is not self.server:
            self.close_connection = True
            return
        events = [json.loads(line) for line in body.splitlines()]
        stub.requests.append(len(events))
        if self.headers["X-API-KEY"] != stub.api_key:
            self.answer(401, {"error": "no such key"})
        elif stub.behaviours:
            stub.behaviours.pop(0)(self, events)
        else:
            self.answer(200, stub.accept(events))

    @property
    def stub(self) -> IngestStub:
        stub: IngestStub = self.server.stub  # type: ignore[attr-defined]
        return stub

    def answer(self, status: int, report: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(report).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


def status(number: int, report: object = None, headers: dict[str, str] | None = None) -> Behaviour:
    """Answer with `number`; nothing is accepted."""
    return lambda handler, events: handler.answer(number, report or {"error": "told to"}, headers)


def accept_and_hang_up(handler: _Handler, events: list[dict[str, Any]]) -> None:
    """The events arrive, the answer does not."""
    handler.stub.accept(events)
    handler.close_connection = True


def at_most(limit: int) -> Behaviour:
    """413 above `limit` events, accepted otherwise."""

    def behave(handler: _Handler, events: list[dict[str, Any]]) -> None:
        if len(events) > limit:
            handler.answer(413, {"error": "too large"})
        else:
            handler.answer(200, handler.stub.accept(events))

    return behave


def hang(seconds: threading.Event) -> Behaviour:
    """No answer until the event is set; then the connection is closed."""

    def behave(handler: _Handler, events: list[dict[str, Any]]) -> None:
        seconds.wait(60)
        handler.close_connection = True

    return behave
