"""A span for each sampled alert of a request to the webhook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from yarl import URL

from mutt_appliance.events.tracing import TRACEPARENT_FIELD
from mutt_appliance.forwarder.jobs import Job
from mutt_appliance.forwarder.retry import Verdict
from mutt_appliance.telemetry.spans import Attribute, Span, Tracing
from mutt_appliance.telemetry.traceparent import parse_traceparent

SPAN_NAME = "deliver alert"
HEADER = "traceparent"


class DeliverySpans:
    """Around one request; `headers` go with it. Of several alerts in a request the first one's trace goes on."""

    def __init__(self, tracing: Tracing | None, jobs: Sequence[Job], url: URL) -> None:
        self._url = url
        self._alerts = len(jobs)
        self._spans: list[tuple[Job, Span]] = []
        if tracing is not None:
            for job in jobs:
                parent = job.alert.get(TRACEPARENT_FIELD)
                if parse_traceparent(parent) is not None:
                    self._spans.append((job, tracing.begin(SPAN_NAME, "client", parent)))

    @property
    def headers(self) -> Mapping[str, str]:
        """`traceparent`, if something of the request is sampled."""
        sampled = (span.traceparent for _, span in self._spans if span.sampled)
        return {HEADER: first} if (first := next(sampled, "")) else {}

    def answered(self, verdict: Verdict) -> None:
        """What the request came to."""
        for job, span in self._spans:
            span.end(self._attributes(job, verdict), verdict.reason)
        self._spans = []

    def _attributes(self, job: Job, verdict: Verdict) -> dict[str, Attribute | None]:
        facts = {
            name: value if isinstance(value, str | int) else None
            for name in ("alert_id", "event_id", "correlation_id", "hostname", "rule_id", "team", "handling")
            for value in (job.alert.get(name),)
        }
        return {
            **{f"mutt.{name}": value for name, value in facts.items()},
            "mutt.attempt": job.attempt,
            "mutt.request.alerts": self._alerts,
            # No more of the URL: a webhook's may hold its key.
            "http.request.method": "POST",
            "server.address": self._url.host,
            "server.port": self._url.port,
            "http.response.status_code": verdict.status or None,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, span in self._spans:
            span.end(error=kind.__name__ if kind else "no answer")
