"""POST /ingest with a span for each request; used instead of the handler itself where there are traces."""

from __future__ import annotations

import orjson
from aiohttp import web

from mutt_appliance.ingestor.handler import IngestHandler
from mutt_appliance.telemetry.spans import Attribute, Span, Tracing

SPAN_NAME = "POST /ingest"
HEADER = "traceparent"


class TracedHandler:
    """Continues the trace of the sender's `traceparent`, and hands it on in each event of what is sampled."""

    def __init__(self, handler: IngestHandler, tracing: Tracing) -> None:
        self._handler = handler
        self._tracing = tracing

    async def handle(self, request: web.Request) -> web.Response:
        """The answer to one request, as the handler gives it."""
        given = request.headers.getall(HEADER, [])
        # Two of them are none: section 3.2 of Trace Context has one value.
        span = self._tracing.begin(SPAN_NAME, "server", given[0] if len(given) == 1 else None)
        try:
            response = await self._handler.handle(request, span.traceparent)
        except BaseException as error:
            span.end(_of_request(request), type(error).__name__)
            raise
        _end(span, request, response)
        return response


def _end(span: Span, request: web.Request, response: web.Response) -> None:
    if not span.sampled:
        span.end()
        return
    answer = orjson.loads(response.body if isinstance(response.body, bytes) else b"{}")
    event_ids = answer.get("event_ids") or []
    attributes: dict[str, Attribute | None] = {
        **_of_request(request),
        "http.response.status_code": response.status,
        "mutt.correlation_id": answer.get("correlation_id"),
        "mutt.event_id": event_ids[0] if len(event_ids) == 1 else None,
        "mutt.events.queued": answer.get("queued"),
        "mutt.events.duplicates": answer.get("duplicates"),
        "mutt.events.refused": len(answer.get("refused", [])),
    }
    # A 4xx is the sender's failure, not ours (semantic conventions for HTTP spans).
    span.end(attributes, str(response.status) if response.status >= 500 else "")


def _of_request(request: web.Request) -> dict[str, Attribute | None]:
    return {
        "http.request.method": request.method,
        "http.route": request.path,
        "url.path": request.path,
        "client.address": request.remote,
    }
