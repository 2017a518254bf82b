"""Spans of one process, exported to a collector over a real connection."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from mutt_appliance.telemetry.spans import Tracing, start_tracing
from tests.support.collector import Collector

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """The SDK is told its variables through the environment of the process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def started(collector: Collector, secret: str = "", **variables: str) -> Tracing:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **variables}
    tracing = start_tracing(given, secret, role="alerter", process="alerter:0", instance="alerter-x-0")
    assert tracing is not None
    return tracing


def test_closing_exports_what_is_left(collector: Collector) -> None:
    tracing = started(collector, OTEL_BSP_SCHEDULE_DELAY="600000")
    span = tracing.begin("work", "consumer", f"{PARENT}01", time.time_ns() - 1_000_000)
    span.note("halfway")
    span.end({"mutt.rule_id": 7, "mutt.reason": None}, "http_503")
    tracing.close()
    (arrived,) = collector.spans()
    assert (arrived.trace_id, arrived.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert arrived.attributes == {"mutt.rule_id": 7, "error.type": "http_503"}
    assert (arrived.notes, arrived.error) == (["halfway"], "http_503")
    assert arrived.ended_ns - arrived.started_ns >= 1_000_000
    assert arrived.resource["service.name"] == "mutt-alerter"
    assert arrived.resource["mutt.process"] == "alerter:0"


def test_what_the_sender_does_not_sample_is_not_exported_and_goes_no_further(collector: Collector) -> None:
    tracing = started(collector)
    span = tracing.begin("work", "consumer", f"{PARENT}00")
    assert (span.sampled, span.traceparent) == (False, "")
    span.end({"mutt.rule_id": 7}, "http_503")
    tracing.close()
    assert collector.headers == []


def test_the_standard_variables_for_samplers_and_resources_are_heard(collector: Collector) -> None:
    tracing = started(
        collector,
        OTEL_TRACES_SAMPLER="parentbased_always_off",
        OTEL_SERVICE_NAME="events",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=lab,mutt.process=mine",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )
    assert not tracing.begin("own", "server").sampled
    tracing.begin("of a sender", "server", f"{PARENT}01").end()
    tracing.close()
    (arrived,) = collector.spans()
    assert arrived.name == "of a sender"
    assert arrived.service == "events"
    assert arrived.resource["deployment.environment.name"] == "lab"
    assert arrived.resource["mutt.process"] == "mine"
    assert collector.headers[0]["content-encoding"] == "gzip"


def test_headers_of_the_secrets_file_are_sent_and_are_in_no_environment(collector: Collector) -> None:
    tracing = started(
        collector, "authorization=Bearer%20from-the-file", OTEL_EXPORTER_OTLP_HEADERS="authorization=other"
    )
    tracing.begin("work", "server").end()
    tracing.close()
    assert collector.headers[0]["authorization"] == "Bearer from-the-file"
    assert not [name for name in os.environ if "HEADERS" in name]


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "nonsense"},
        {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "nobody"},
    ],
)
def test_variables_that_cannot_be_used_never_keep_a_process_from_its_work(variables: dict[str, str]) -> None:
    given = {"OTEL_TRACES_EXPORTER": "otlp", **variables}
    tracing = start_tracing(given, "", role="r", process="r:0", instance="r-0")
    if tracing is not None:
        tracing.begin("work", "server").end()
        tracing.close(0.1)


def test_a_collector_that_does_not_answer_is_waited_for_as_long_as_allowed() -> None:
    with Collector(delay_secs=60) as collector:
        tracing = started(collector)
        tracing.begin("work", "server").end()
        began = time.monotonic()
        tracing.close(0.3)
        assert 0.2 < time.monotonic() - began < 3


def test_without_a_variable_nothing_is_imported() -> None:
    code = (
        "import sys; from mutt_appliance.telemetry.spans import start_tracing; "
        "import mutt_appliance.ingestor.service, mutt_appliance.alerter.service, mutt_appliance.forwarder.service; "
        "assert start_tracing({}, '', role='r', process='r:0', instance='r-0') is None; "
        "loaded = [name for name, module in sys.modules.items() if module is not None]; "
        "sys.exit(any(name.startswith(('opentelemetry.', 'google.')) for name in loaded))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
