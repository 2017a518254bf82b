"""A stand-in for an OpenTelemetry Collector: OTLP over HTTP with real protobuf, on the loopback address.

with Collector() as collector: … collector.endpoint, collector.spans(), collector.answer = 503
"""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.waiting import wait_until

TRACES_PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it arrived; ids in hexadecimal, times in nanoseconds since the epoch."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    notes: list[str]
    error: str
    resource: dict[str, Any]

    @property
    def service(self) -> str:
        """service.name of the process it is from."""
        return str(self.resource["service.name"])


@dataclass
class Collector:
    """The server, in threads of its own; `answer` is the status that it gives, after `delay_secs`."""

    answer: int = 200
    delay_secs: float = 0.0
    headers: list[dict[str, str]] = field(default_factory=list)
    _spans: list[CollectedSpan] = field(default_factory=list)

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._take(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="collector", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """Value for OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def spans(self, trace_id: str = "") -> list[CollectedSpan]:
        """What has arrived, of one trace or of all, in the order of their beginnings."""
        found = [span for span in list(self._spans) if trace_id in ("", span.trace_id)]
        return sorted(found, key=lambda span: span.started_ns)

    def wait_for(self, trace_id: str, names: list[str], timeout_secs: float = 20) -> list[CollectedSpan]:
        """The spans of a trace, once those with these names are there."""

        def there() -> list[CollectedSpan]:
            found = self.spans(trace_id)
            return found if sorted(names) == sorted(span.name for span in found) else []

        return wait_until(there, timeout_secs, f"spans {names}; there are {self.spans()}")

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        well = request.path == TRACES_PATH and request.headers["Content-Type"] == PROTOBUF
        status = self.answer if well else 404
        time.sleep(self.delay_secs)
        if status == 200:
            unpacked = gzip.decompress(body) if request.headers["Content-Encoding"] == "gzip" else body
            self._spans += _spans_of(ExportTraceServiceRequest.FromString(unpacked))
        answer = ExportTraceServiceResponse().SerializeToString()
        with contextlib.suppress(ConnectionError):
            request.send_response(status)
            request.send_header("Content-Type", PROTOBUF)
            request.send_header("Content-Length", str(len(answer)))
            request.end_headers()
            request.wfile.write(answer)


def _spans_of(request: Any) -> list[CollectedSpan]:
    return [
        CollectedSpan(
            name=span.name,
            kind=span.kind,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            started_ns=span.start_time_unix_nano,
            ended_ns=span.end_time_unix_nano,
            attributes=_values(span.attributes),
            notes=[event.name for event in span.events],
            error=span.status.message,
            resource=_values(of_resource.resource.attributes),
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
