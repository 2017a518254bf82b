"""Metrics of a pool: several processes, one answer."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from mutt_appliance.telemetry.metrics import (
    AlerterMetrics,
    ForwarderMetrics,
    IngestorMetrics,
    WebuiMetrics,
    enable_pool_metrics,
    exposition,
    metrics_folder,
    observe_all,
)

SPECIFIED: dict[Callable[[], object], set[str]] = {
    IngestorMetrics: {
        "mutt_ingest_requests_total", "mutt_ingest_queue_depth", "mutt_ingest_latency_seconds_count",
    },
    AlerterMetrics: {
        "mutt_alerter_events_processed_total", "mutt_alerter_processing_latency_seconds_count",
        "mutt_alerter_queue_depth", "mutt_alerter_shed_events_total", "mutt_alerter_cache_rules_count",
        "mutt_alerter_cache_dev_hosts_count", "mutt_alerter_cache_teams_count", "mutt_db_write_latency_ms_count",
        "mutt_alerter_dlq_depth", "mutt_alerter_processing_list_depth", "mutt_alerter_cache_reload_failures_total",
    },
    ForwarderMetrics: {
        "mutt_moog_requests_total", "mutt_moog_request_latency_seconds_count", "mutt_moog_dlq_depth",
        "mutt_moog_processing_list_depth", "mutt_moog_rate_limit_hits_total", "mutt_moog_alerts_processed_total",
    },
    WebuiMetrics: {
        "mutt_webui_api_requests_total", "mutt_webui_api_latency_seconds_count",
        "mutt_webui_redis_scan_latency_seconds_count", "mutt_webui_db_query_latency_ms_count",
    },
}  # fmt: skip


def names(text: str) -> set[str]:
    """Names of the samples of an exposition."""
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}


@pytest.mark.parametrize("group", SPECIFIED, ids=lambda group: getattr(group, "__name__", ""))
def test_every_name_of_the_specification_is_there_before_anything_happened(
    group: Callable[[], object], tmp_path: Path
) -> None:
    enable_pool_metrics(tmp_path, "role", 0)
    group()
    assert SPECIFIED[group] <= names(exposition(tmp_path, "role").decode())


def _work(runtime_dir: Path, index: int) -> None:
    enable_pool_metrics(runtime_dir, "alerter", index)
    metrics = AlerterMetrics()
    metrics.events.labels(status="handled").inc(10)
    metrics.processing_depth.set(index + 1)
    metrics.rules.set(40 + index)


def test_processes_add_up_and_a_restarted_one_goes_on_counting(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for index in (0, 1, 0):
        process = context.Process(target=_work, args=(tmp_path, index))
        process.start()
        process.join()
        assert process.exitcode == 0
    text = exposition(tmp_path, "alerter").decode()
    assert 'mutt_alerter_events_processed_total{status="handled"} 30.0' in text
    assert "mutt_alerter_processing_list_depth 3.0" in text
    assert "mutt_alerter_cache_rules_count 41.0" in text


def test_a_file_that_was_only_just_made_does_not_spoil_the_answer(tmp_path: Path) -> None:
    enable_pool_metrics(tmp_path, "alerter", 0)
    AlerterMetrics()
    (metrics_folder(tmp_path, "alerter") / "counter_alerter-1.db").touch()
    assert b"mutt_alerter_queue_depth" in exposition(tmp_path, "alerter")


def test_many_values_observed_together_are_as_each_observed_alone(tmp_path: Path) -> None:
    amounts = [0.0001, 0.0005, 0.0007, 0.3, 99.0, 0.3]
    for number, together in enumerate((True, False)):
        enable_pool_metrics(tmp_path / str(number), "ingestor", 0)
        latency = IngestorMetrics().latency
        if together:
            observe_all(latency, amounts)
            observe_all(latency, [])
        else:
            for amount in amounts:
                latency.observe(amount)
    one, other = (exposition(tmp_path / str(number), "ingestor") for number in range(2))
    assert b"mutt_ingest_latency_seconds_count 6.0" in one
    assert one == other
