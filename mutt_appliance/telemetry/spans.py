"""Spans of OpenTelemetry behind a small interface. Nothing of the SDK is imported while there are no traces.

Spans are exported by a thread of the SDK; when it cannot keep up, or nobody takes them, they are dropped, and
the work goes on. A process that has no traces has None where another has a `Tracing`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from mutt_appliance import __version__
from mutt_appliance.config.otel import HEADERS, Exporter, exporters_of, headers_of, parse_headers
from mutt_appliance.held_back import let_in
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.traceparent import TraceParent, parse_traceparent

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as OtelSpan

log = get_logger("telemetry.spans")

Kind = Literal["server", "consumer", "client"]
Attribute = str | bool | int | float
# What follows the last spans must not wait long for a collector that is away.
CLOSE_MAX_SECS = 2.0


class Span:
    """A span under way. `traceparent` is how others continue it; empty when it is not sampled."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        context = span.get_span_context()
        self.sampled = context.trace_flags.sampled
        self.traceparent = str(TraceParent(context.trace_id, context.span_id, True)) if self.sampled else ""

    def note(self, what: str) -> None:
        """Something happened now."""
        self._span.add_event(what)

    def end(self, attributes: Mapping[str, Attribute | None] | None = None, error: str = "") -> None:
        """End it, with what is known by now; `error` says in a word why it failed."""
        from opentelemetry.trace import StatusCode

        if self.sampled:
            known = {name: value for name, value in (attributes or {}).items() if value is not None}
            self._span.set_attributes(known)
            if error:
                self._span.set_attribute("error.type", error)
                self._span.set_status(StatusCode.ERROR, error)
        self._span.end()


class Tracing:
    """Begins the spans of a process; safe to use from any thread.

    The SDK takes the rest of its variables from the environment, but for the headers: those are in
    no environment. Raises whatever the SDK does not like about them.
    """

    def __init__(
        self, exporters: tuple[Exporter, ...], headers: Mapping[str, str], resource: Mapping[str, Attribute]
    ) -> None:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
        described = Resource.create({**resource, **OTELResourceDetector().detect().attributes})
        self._provider = TracerProvider(resource=described, shutdown_on_exit=False)
        for exporter in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(_make(exporter, headers)))
        self._tracer = self._provider.get_tracer("mutt", __version__)

    def begin(self, name: str, kind: Kind, parent: object = None, start_ns: int | None = None) -> Span:
        """A span that continues `parent`, a traceparent, or begins a trace where that is none.

        `start_ns` is in nanoseconds since the epoch, now without it.
        """
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span(
            name, context=_context(parent), kind=SpanKind[kind.upper()], start_time=start_ns
        )
        return Span(span)

    def close(self, patience_secs: float = CLOSE_MAX_SECS) -> None:
        """Export what is left, as far as that takes no longer than `patience_secs`."""
        # In a thread of its own: the SDK waits for half a minute when nobody takes the spans.
        thread = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        thread.start()
        thread.join(patience_secs)
        if thread.is_alive():
            log.warning("last spans not exported in time", seconds=patience_secs)


def start_tracing(
    variables: Mapping[str, str], secret_headers: str, *, role: str, process: str, instance: str
) -> Tracing | None:
    """The tracing that OTEL_* ask for; None when they ask for none, or cannot be used."""
    exporters = exporters_of(variables)
    if not exporters:
        return None
    os.environ.update({name: value for name, value in variables.items() if name not in HEADERS})
    let_in()
    resource = {
        "service.name": f"mutt-{role}",
        "service.namespace": "mutt",
        "service.version": __version__,
        "service.instance.id": instance,
        "host.name": socket.gethostname(),
        "mutt.process": process,
    }
    try:
        made = Tracing(exporters, parse_headers(headers_of(variables, secret_headers)), resource)
    # Events are worth more than traces of them: whatever is wrong, the process works without.
    except Exception as error:  # noqa: BLE001
        log.error("there are no traces: OTEL_* cannot be used", error=f"{type(error).__name__}: {error}")
        return None
    log.info("traces are on", exporters=list(exporters))
    return made


def _make(exporter: Exporter, headers: Mapping[str, str]) -> SpanExporter:
    """By name and not by the SDK's entry points, which the one-file executable does not have."""
    if exporter == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(headers=headers)


def _context(parent: object) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    given = parse_traceparent(parent)
    if given is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if given.sampled else TraceFlags.DEFAULT)
    remote = SpanContext(given.trace_id, given.span_id, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(remote), Context())
