"""A stand-in for Prometheus: its query API over a real socket, with answers that a test sets."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


class PrometheusStub:
    """`values` maps a word of the query to the value answered; `queries` are those that came."""

    def __init__(self, *, context: ssl.SSLContext | None = None, **values: str) -> None:
        """With `context` it speaks TLS."""
        self.values = values
        self.queries: list[str] = []
        self.status = 200
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                asked = parse_qs(address.query).get("query", [""])[0]
                stub.queries.append(asked)
                found = [value for word, value in stub.values.items() if word in asked]
                result = [{"metric": {}, "value": [1.0, value]} for value in found]
                body = json.dumps(
                    {"status": "success", "data": {"resultType": "vector", "result": result}}
                ).encode()
                self.send_response(stub.status if address.path == "/api/v1/query" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._scheme = "https" if context else "http"
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        """What PROMETHEUS_URL is to be."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
