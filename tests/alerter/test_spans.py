"""Spans of the sampled events of a batch, exported to a collector."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mutt_appliance.alerter.spans import spans_of_batch
from mutt_appliance.queueing.events import Settled
from mutt_appliance.telemetry.spans import Tracing, start_tracing
from tests.alerter.test_batch import event, process
from tests.support.collector import Collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = {"mutt_traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
SETTLED = Settled(shed=0, triggered=0, alert_depth=1, dead_depth=0)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def tracing(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Tracing:
    # Noted here, so that the SDK's variables leave the environment with the test.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    made = start_tracing(given, "", role="alerter", process="alerter:0", instance="a-0")
    assert made is not None
    return made


def test_only_the_alert_of_a_sampled_event_continues_its_span(tracing: Tracing, collector: Collector) -> None:
    items = [event(1, "link down"), event(2, "link down", **SAMPLED), event(3, "noise", **SAMPLED)]
    batch = process(*items)
    before = list(batch.alerts)
    with spans_of_batch(tracing, "mutt:ingest_queue", items, batch, 0) as spans:
        spans.settled(SETTLED)
    tracing.close()
    by_event = {span.attributes["mutt.event_id"]: span for span in collector.spans(TRACE)}
    assert {name: span.attributes["mutt.outcome"] for name, span in by_event.items()} == {
        "e2": "forwarded",
        "e3": "audited",
    }
    assert (batch.alerts[0], batch.alerts[2]) == (before[0], None)
    alert = json.loads(batch.alerts[1] or b"")
    assert alert.pop("mutt_traceparent") == f"00-{TRACE}-{by_event['e2'].span_id}-01"
    assert alert == json.loads(before[1] or b"")


def test_of_a_batch_that_was_not_settled_each_span_is_the_error_and_the_next_try_has_its_own(
    tracing: Tracing, collector: Collector
) -> None:
    item = event(1, "link down", **SAMPLED)

    def away() -> None:
        with spans_of_batch(tracing, "q", [item], process(item), 0):
            raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        away()
    with spans_of_batch(tracing, "q", [item], process(item), 0) as spans:
        spans.settled(SETTLED)
    tracing.close()
    assert sorted(span.error for span in collector.spans(TRACE)) == ["", "ConnectionError"]


def test_what_looks_like_a_traceparent_somewhere_in_an_event_is_none(
    tracing: Tracing, collector: Collector
) -> None:
    items = [
        event(1, "link down", nested=SAMPLED),
        event(2, "x", mutt_traceparent="x"),
        b'"mutt_traceparent"',
    ]
    batch = process(*items)
    before = list(batch.alerts)
    with spans_of_batch(tracing, "q", items, batch, 0) as spans:
        spans.settled(SETTLED)
    tracing.close()
    assert batch.alerts == before
    assert collector.spans() == []
