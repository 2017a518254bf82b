"""Spans of alerts that share a request."""

from __future__ import annotations

import pytest
from yarl import URL

from mutt_appliance.forwarder.retry import judge_failure, judge_status
from mutt_appliance.forwarder.spans import DeliverySpans
from mutt_appliance.telemetry.spans import start_tracing
from tests.forwarder.test_jobs import CLOUD, job_for
from tests.support.collector import Collector

URL_WITH_A_KEY = URL("https://moogsoft.example.net/hook/secret-path?key=secret-word")


def parent(trace: str) -> str:
    return f"00-{trace * 16}-00f067aa0ba902b7-01"


def test_each_alert_has_its_span_and_the_request_the_traceparent_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Collector() as collector:
        # Noted here, so that the SDK's variable leaves the environment with the test.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        tracing = start_tracing(given, "", role="forwarder", process="forwarder:0", instance="f-0")
        assert tracing is not None
        jobs = [
            job_for(CLOUD),
            job_for(CLOUD, mutt_traceparent=parent("a1")),
            job_for(CLOUD, mutt_traceparent=parent("b2")),
            job_for(CLOUD, mutt_traceparent="nonsense"),
        ]
        with DeliverySpans(tracing, jobs, URL_WITH_A_KEY) as spans:
            header = spans.headers["traceparent"]
            spans.answered(judge_status(503))
        with DeliverySpans(tracing, jobs[1:2], URL_WITH_A_KEY) as spans:
            spans.answered(judge_failure(TimeoutError()))
        tracing.close()
        first, second, third = collector.spans()
    assert [each.trace_id for each in (first, second, third)] == ["a1" * 16, "b2" * 16, "a1" * 16]
    assert header == f"00-{first.trace_id}-{first.span_id}-01"
    assert (first.error, first.attributes["http.response.status_code"]) == ("http_503", 503)
    assert first.attributes["mutt.request.alerts"] == 4
    assert first.attributes["server.address"] == "moogsoft.example.net"
    assert third.error == "timeout"
    assert "http.response.status_code" not in third.attributes
    assert "secret" not in repr((first, second, third))


def test_without_traces_a_request_has_no_further_header() -> None:
    with DeliverySpans(None, [job_for(mutt_traceparent=parent("a1"))], URL_WITH_A_KEY) as spans:
        assert spans.headers == {}
