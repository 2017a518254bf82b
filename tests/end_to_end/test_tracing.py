"""One event's trace, from the POST to the webhook, read back from a collector."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Stores
from tests.support.collector import CollectedSpan, Collector
from tests.support.line import MATCHED, Line, event, new_id, running_line
from tests.support.moogsoft import Answer
from tests.support.waiting import wait_until

SERVER, CLIENT, CONSUMER = 2, 3, 5
SECRET = "collector-key-that-nobody-may-see"
QUICKLY = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
STOP_SECS = 8.0
WAY = ["POST /ingest", "process event", "deliver alert"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(collector: Collector, stores: Stores) -> Iterator[Line]:
    with running_line(stores, ca=None, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **QUICKLY) as running:
        yield running


def new_trace() -> str:
    return secrets.token_hex(16)


def traceparent(trace_id: str, *, sampled: bool = True) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{'b7' * 8}-{int(sampled):02d}"}


def header_of(line: Line, event_id: str) -> str | None:
    """`traceparent` of the request that brought the event's alert to the webhook."""
    (request,) = [
        request
        for request in line.moogsoft.accepted()
        if request.events[0]["custom_info"]["event_id"] == event_id
    ]
    return request.headers.get("traceparent")


def test_a_trace_has_all_spans_of_an_event_from_the_sender_to_the_webhook(
    traced: Line, collector: Collector
) -> None:
    event_id, correlation_id, trace_id = new_id("traced"), new_id("correlation"), new_trace()
    headers = {"X-Correlation-ID": correlation_id, **traceparent(trace_id)}
    assert traced.post(event(event_id=event_id), headers).status == 200
    traced.wait_delivered(event_id)
    post, process, deliver = collector.wait_for(trace_id, WAY)

    assert [post.parent_id, process.parent_id, deliver.parent_id] == ["b7" * 8, post.span_id, process.span_id]
    assert [post.kind, process.kind, deliver.kind] == [SERVER, CONSUMER, CLIENT]
    services = [span.service for span in (post, process, deliver)]
    assert services == ["mutt-ingestor", "mutt-alerter", "mutt-forwarder"]
    for span in (post, process, deliver):
        assert span.attributes["mutt.event_id"] == event_id
        assert span.attributes["mutt.correlation_id"] == correlation_id
        assert span.started_ns < span.ended_ns
        assert span.error == ""
    (row,) = traced.rows(event_id)
    assert post.attributes["http.response.status_code"] == 200
    assert process.attributes["mutt.rule_id"] == deliver.attributes["mutt.rule_id"] == row["rule_id"]
    assert process.attributes["mutt.hostname"] == deliver.attributes["mutt.hostname"] == "core-1"
    assert process.attributes["mutt.outcome"] == "forwarded"
    assert process.notes == ["decided", "audited"]
    assert deliver.attributes["http.response.status_code"] == 200
    assert deliver.attributes["mutt.attempt"] == 1

    assert row["raw_event"]["mutt_traceparent"] == f"00-{trace_id}-{post.span_id}-01"
    assert header_of(traced, event_id) == f"00-{trace_id}-{deliver.span_id}-01"


def test_each_attempt_is_a_span_and_tells_what_the_receiver_answered(
    traced: Line, collector: Collector
) -> None:
    event_id, trace_id = new_id("retried"), new_trace()
    once_away = iter([Answer(503)])
    traced.moogsoft.answer = lambda _: next(once_away, Answer(200))
    traced.post(event(event_id=event_id), traceparent(trace_id))
    *_, first, second = collector.wait_for(trace_id, [*WAY, "deliver alert"])
    assert (first.attributes["http.response.status_code"], first.error) == (503, "http_503")
    assert (second.attributes["http.response.status_code"], second.attributes["mutt.attempt"]) == (200, 2)
    assert first.parent_id == second.parent_id


def test_what_is_not_forwarded_has_a_trace_to_its_end(traced: Line, collector: Collector) -> None:
    unmatched, refused = new_trace(), new_trace()
    traced.post(event(message="nothing knows this"), traceparent(unmatched))
    _, process = collector.wait_for(unmatched, WAY[:2])
    assert process.attributes["mutt.outcome"] == "unmatched"
    assert traced.post({"hostname": "h"}, traceparent(refused)).status == 400
    (post,) = collector.wait_for(refused, WAY[:1])
    assert (post.attributes["http.response.status_code"], post.attributes["mutt.events.refused"]) == (400, 1)


def test_a_sender_that_does_not_sample_gets_no_trace_and_its_events_carry_nothing(
    traced: Line, collector: Collector
) -> None:
    quiet, seen, trace_id = new_id("quiet"), new_id("seen"), new_trace()
    forged = event(event_id=quiet, mutt_traceparent=f"00-{trace_id}-{'c8' * 8}-01")
    traced.post(forged, traceparent(trace_id, sampled=False))
    traced.wait_delivered(quiet)
    later = new_trace()
    traced.post(event(event_id=seen), traceparent(later))
    collector.wait_for(later, WAY)
    assert collector.spans(trace_id) == []
    assert "mutt_traceparent" not in traced.rows(quiet)[0]["raw_event"]
    assert header_of(traced, quiet) is None


@pytest.mark.parametrize(
    "forged", ["00-x", "\r\nX-Evil: 1", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01", 7, None]
)
def test_what_is_no_traceparent_begins_a_new_trace(
    traced: Line, collector: Collector, forged: object
) -> None:
    event_id = new_id("forged")
    traced.post(event(event_id=event_id, mutt_traceparent=forged), {"traceparent": "00-nonsense"})
    traced.wait_delivered(event_id)

    def of_event() -> list[CollectedSpan]:
        found = [s for s in collector.spans() if s.attributes.get("mutt.event_id") == event_id]
        return found if len(found) == len(WAY) else []

    post, *_ = wait_until(of_event, 20, "three spans of one trace")
    assert post.parent_id == ""
    assert len({span.trace_id for span in of_event()}) == 1


def test_the_headers_for_the_collector_reach_it_and_nothing_else(start_line: Callable[..., Line]) -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{SECRET},x-tenant=7", **QUICKLY}
    with Collector() as collector:
        line = start_line(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, LOG_LEVEL="DEBUG", **variables)
        trace_id = new_trace()
        line.post(event(), traceparent(trace_id))
        collector.wait_for(trace_id, WAY)
        assert all(each["authorization"] == f"Bearer {SECRET}" for each in collector.headers)
        assert collector.headers[0]["x-tenant"] == "7"
        # A collector that refuses the key is told in the log, the key is not.
        collector.answer = 401
        line.post(event())
        line.appliance.wait_for_log("Failed to export spans batch code: 401, reason: Unauthorized")
    for process in line.appliance.processes():
        assert SECRET not in " ".join([*process.environ().values(), *process.cmdline()]), process
    assert SECRET not in line.appliance.log_path.read_text()


def test_a_collector_that_hangs_keeps_no_event_and_no_stop_waiting(stores: Stores) -> None:
    with Collector(delay_secs=60) as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "DRAIN_TIMEOUT": "8", **QUICKLY}
        with running_line(stores, ca=None, **variables) as line:
            line.good_event_passes()
            wait_until(lambda: collector.headers, 20, "an export hangs")
            line.good_event_passes()
            began = time.monotonic()
        assert time.monotonic() - began < STOP_SECS


def test_the_console_exporter_writes_a_line_a_span(start_line: Callable[..., Line]) -> None:
    line = start_line(OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="network-events", **QUICKLY)
    trace_id = new_trace()
    line.post(event(message=MATCHED), traceparent(trace_id))

    def written() -> list[str]:
        spans = [each for each in line.appliance.log_lines() if "context" in each]
        names = [s["name"] for s in spans if s["context"]["trace_id"] == f"0x{trace_id}"]
        services = {s["resource"]["attributes"]["service.name"] for s in spans}
        assert services <= {"network-events"}
        return names if len(names) == len(WAY) else []

    assert sorted(wait_until(written, 20, "three spans in the log")) == sorted(WAY)


def test_without_a_variable_nothing_of_opentelemetry_is_loaded(start_line: Callable[..., Line]) -> None:
    line = start_line()
    event_id = new_id("untraced")
    line.post(event(event_id=event_id), traceparent(new_trace()))
    line.wait_delivered(event_id)
    assert header_of(line, event_id) is None
    assert "mutt_traceparent" not in line.rows(event_id)[0]["raw_event"]
    for process in line.appliance.processes():
        assert not [each.path for each in process.memory_maps() if "google/_upb" in each.path]
