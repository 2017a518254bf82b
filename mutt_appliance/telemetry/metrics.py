"""Every Prometheus metric of the specification, and how a pool of processes shares one endpoint.

Each process writes its values to a mapped file named after its place in the pool (not its pid), so
that counters go on where a killed process left them. `enable_pool_metrics` must run in a process
before it makes one of the metric groups below. They are in no registry of their own: what a
scraper gets is read from the files. A name with labels is there only once a label was used, so the
ones to be expected are made at the beginning.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from mutt_appliance.config import Settings
from mutt_appliance.config.dynamic import DYNAMIC, as_number
from mutt_appliance.telemetry.mapped_files import use_roomy_files
from mutt_appliance.telemetry.state_metrics import HealthCollector, ProcessCollector

LATENCY_BUCKETS_SECS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
FAULTS_OF_SENDERS = ("unauthorized", "invalid", "too_large", "incomplete")
"""Reasons of requests that MUTT rightly refuses (4xx): no unavailability of MUTT."""
FAULTS_OF_OURS = (
    "queue_full",
    "redis",
    "redis_full",
    "redis_disk",
    "replicas",
    "overloaded",
    "draining",
    "internal",
)
LATENCY_BUCKETS_MS = (0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 15000)


def metrics_folder(runtime_dir: Path, role: str) -> Path:
    """Folder of a role's metric files; the supervisor makes and empties it at start."""
    return runtime_dir / "metrics" / role


def enable_pool_metrics(runtime_dir: Path, role: str, index: int) -> None:
    """Make every metric of this process part of its role's pool."""
    folder = metrics_folder(runtime_dir, role)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    use_roomy_files()
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: f"{role}-{index}")  # type: ignore[no-untyped-call]


class _PoolCollector(MultiProcessCollector):
    """Reads the files of a pool, but for one that a starting process has just made and not yet filled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = [str(path) for path in self._folder.glob("*.db") if path.stat().st_size > 0]
        merged: Iterable[Metric] = self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return merged


def exposition(runtime_dir: Path, role: str) -> bytes:
    """All processes of `role` added up, in Prometheus' text format; the web UI's has the table of processes, too."""
    registry = CollectorRegistry()
    registry.register(_PoolCollector(metrics_folder(runtime_dir, role)))
    registry.register(HealthCollector(runtime_dir, role))
    if role == "webui":
        registry.register(ProcessCollector(runtime_dir))
    return generate_latest(registry)


def observe_all(histogram: Histogram, amounts: Sequence[float]) -> None:
    """Observe many values for the price of a few: each bucket's value in the mapped file is written once."""
    counts = Counts(bisect_left(histogram._upper_bounds, amount) for amount in amounts)
    for place, count in counts.items():
        histogram._buckets[place].inc(count)
    if amounts:
        histogram._sum.inc(sum(amounts))


class SecretsInUse:
    """On every role's /metrics: which value of a secret works, the current or the next one (rotation)."""

    def __init__(self) -> None:
        self._gauge = Gauge(
            "mutt_secrets_in_use",
            "Processes that use the current or the next value of a secret",
            ["secret", "which"],
            multiprocess_mode="sum",
            registry=None,
        )

    def tell(self, secret: str, which: Literal["current", "next"]) -> None:
        """This process uses this value of a secret (its name in lower case) now, and no longer the other."""
        for each in ("current", "next"):
            self._gauge.labels(secret=secret, which=each).set(each == which)


@cache
def secrets_in_use() -> SecretsInUse:
    """The one of this process, made when it is first needed: after `enable_pool_metrics`."""
    return SecretsInUse()


class SettingsInForce:
    """On every role's /metrics: the value of each dynamic setting, for each process that uses them."""

    def __init__(self) -> None:
        self._gauge = Gauge(
            "mutt_setting",
            "Dynamic setting in force in a process (pid: its role and number); of a choice its place, from 0",
            ["name"],
            multiprocess_mode="all",
            registry=None,
        )

    def tell(self, settings: Settings) -> None:
        """These are in force now."""
        for name in DYNAMIC:
            self._gauge.labels(name=name).set(as_number(name, settings))


@cache
def settings_in_force() -> SettingsInForce:
    """The one of this process, made when it is first needed: after `enable_pool_metrics`."""
    return SettingsInForce()


class IngestorMetrics:
    """:8080/metrics."""

    def __init__(self) -> None:
        self.requests = Counter(
            "mutt_ingest_requests_total",
            "Ingestion requests (status: success|fail; reason for failures)",
            ["status", "reason"],
            registry=None,
        )
        self.events = Counter(
            "mutt_ingest_events_total",
            "Events by outcome (queued|duplicate|refused)",
            ["outcome"],
            registry=None,
        )
        self.queue_depth = Gauge(
            "mutt_ingest_queue_depth", "Current queue depth", multiprocess_mode="mostrecent", registry=None
        )
        self.dlq_depth = Gauge(
            "mutt_ingest_dlq_depth",
            "Refused events in the dead letter queue",
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.latency = Histogram(
            "mutt_ingest_latency_seconds",
            "Request processing latency",
            buckets=LATENCY_BUCKETS_SECS,
            registry=None,
        )
        self.requests.labels(status="success", reason="")
        # From 0 on, so that the first failure is an increase.
        for reason in (*FAULTS_OF_SENDERS, *FAULTS_OF_OURS):
            self.requests.labels(status="fail", reason=reason)
        for outcome in ("queued", "duplicate", "refused"):
            self.events.labels(outcome=outcome)
        self.queue_depth.set(0)
        self.dlq_depth.set(0)


class AlerterMetrics:
    """:8081/metrics."""

    def __init__(self) -> None:
        self.events = Counter(
            "mutt_alerter_events_processed_total",
            "Events by status (handled/unhandled/poison/error)",
            ["status"],
            registry=None,
        )
        self.latency = Histogram(
            "mutt_alerter_processing_latency_seconds",
            "Event processing time, from claim to settled, of the batch it was in",
            buckets=LATENCY_BUCKETS_SECS,
            registry=None,
        )
        self.queue_depth = Gauge(
            "mutt_alerter_queue_depth",
            "Monitored queue depth (alert queue)",
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.shed = Counter("mutt_alerter_shed_events_total", "Shed/deferral events", ["mode"], registry=None)
        self.rules = Gauge(
            "mutt_alerter_cache_rules_count", "Rules in memory cache", multiprocess_mode="max", registry=None
        )
        self.rule_errors = Gauge(
            "mutt_alerter_cache_rule_errors",
            "Active rules that are left out because of an error",
            multiprocess_mode="max",
            registry=None,
        )
        self.dev_hosts = Gauge(
            "mutt_alerter_cache_dev_hosts_count", "Dev hosts in cache", multiprocess_mode="max", registry=None
        )
        self.teams = Gauge(
            "mutt_alerter_cache_teams_count", "Team mappings in cache", multiprocess_mode="max", registry=None
        )
        self.db_latency = Histogram(
            "mutt_db_write_latency_ms", "Database write latency", buckets=LATENCY_BUCKETS_MS, registry=None
        )
        self.dlq_depth = Gauge(
            "mutt_alerter_dlq_depth", "Alerter DLQ depth", multiprocess_mode="mostrecent", registry=None
        )
        self.processing_depth = Gauge(
            "mutt_alerter_processing_list_depth",
            "This worker's processing list depth",
            multiprocess_mode="sum",
            registry=None,
        )
        self.reload_failures = Counter(
            "mutt_alerter_cache_reload_failures_total", "Failed cache reloads", registry=None
        )
        self.recovered = Counter(
            "mutt_alerter_recovered_events_total",
            "Events that the janitor gave back to the ingest queue",
            registry=None,
        )
        self.archived_rows = Counter(
            "mutt_audit_archive_rows_total", "Rows of the audit log moved into files", registry=None
        )
        self.archive_failures = Counter(
            "mutt_audit_archive_failures_total",
            "Looks at retention in which a month could not be archived",
            registry=None,
        )
        self.archive_last_success = Gauge(
            "mutt_audit_archive_last_success_timestamp_seconds",
            "When a month was last archived and dropped, 0 for never",
            multiprocess_mode="max",
            registry=None,
        )
        self.months_due = Gauge(
            "mutt_audit_months_due",
            "Months of the audit log that are past retention and still there",
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.disk_free = Gauge(
            "mutt_disk_free_bytes",
            "Free space where MUTT keeps data, as far as its user may have it",
            ["path"],
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.disk_size = Gauge(
            "mutt_disk_size_bytes",
            "Size of the disk where MUTT keeps data",
            ["path"],
            multiprocess_mode="mostrecent",
            registry=None,
        )
        for status in ("handled", "unhandled", "poison", "error"):
            self.events.labels(status=status)
        for mode in ("dlq", "defer"):
            self.shed.labels(mode=mode)
        self.queue_depth.set(0)
        self.dlq_depth.set(0)


class ForwarderMetrics:
    """:8083/metrics."""

    def __init__(self) -> None:
        self.requests = Counter(
            "mutt_moog_requests_total",
            "Moog webhook requests (status: success|fail; reason for failures)",
            ["status", "reason"],
            registry=None,
        )
        self.latency = Histogram(
            "mutt_moog_request_latency_seconds",
            "Webhook request latency",
            buckets=LATENCY_BUCKETS_SECS,
            registry=None,
        )
        self.dlq_depth = Gauge(
            "mutt_moog_dlq_depth", "Moog DLQ depth", multiprocess_mode="mostrecent", registry=None
        )
        self.processing_depth = Gauge(
            "mutt_moog_processing_list_depth",
            "This worker's processing list depth",
            multiprocess_mode="sum",
            registry=None,
        )
        self.rate_limit_hits = Counter(
            "mutt_moog_rate_limit_hits_total", "Times rate limit was hit", registry=None
        )
        self.alerts = Counter(
            "mutt_moog_alerts_processed_total",
            "Alerts processed (success/dlq/error)",
            ["status"],
            registry=None,
        )
        self.retry_depth = Gauge(
            "mutt_moog_retry_depth",
            "Alerts waiting for their next attempt",
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.recovered = Counter(
            "mutt_moog_recovered_alerts_total",
            "Alerts that the janitor gave back to the alert queue",
            registry=None,
        )
        self.circuit_state = Gauge(
            "mutt_moog_circuit_state",
            "1 while the circuit is open: Moogsoft is away, and only probes go out",
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.circuit_opened = Counter(
            "mutt_moog_circuit_opened_total", "Times that the circuit was opened", registry=None
        )
        self.probes = Counter(
            "mutt_moog_probes_total",
            "Probes of a Moogsoft that is away (answered|failed)",
            ["result"],
            registry=None,
        )
        self.replayed = Counter(
            "mutt_moog_replayed_alerts_total",
            "Dead letters with used up retries that were tried again because Moogsoft was well",
            registry=None,
        )
        for result in ("answered", "failed"):
            self.probes.labels(result=result)
        self.circuit_state.set(0)
        self.requests.labels(status="success", reason="")
        for reason in ("connection", "timeout", "http_503"):
            self.requests.labels(status="fail", reason=reason)
        for status in ("success", "dlq", "error"):
            self.alerts.labels(status=status)
        self.dlq_depth.set(0)
        self.retry_depth.set(0)


class WebuiMetrics:
    """:8090/metrics."""

    def __init__(self) -> None:
        self.requests = Counter(
            "mutt_webui_api_requests_total", "API requests", ["endpoint", "status"], registry=None
        )
        self.latency = Histogram(
            "mutt_webui_api_latency_seconds",
            "API latency",
            ["endpoint"],
            buckets=LATENCY_BUCKETS_SECS,
            registry=None,
        )
        self.scan_latency = Histogram(
            "mutt_webui_redis_scan_latency_seconds",
            "Redis SCAN latency",
            buckets=LATENCY_BUCKETS_SECS,
            registry=None,
        )
        self.db_latency = Histogram(
            "mutt_webui_db_query_latency_ms",
            "DB query latency",
            ["operation"],
            buckets=LATENCY_BUCKETS_MS,
            registry=None,
        )
        self.slo_target = Gauge(
            "mutt_slo_target",
            "Share of requests that are to succeed",
            ["component"],
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.slo_availability = Gauge(
            "mutt_slo_availability",
            "Share of requests that succeeded in SLO_WINDOW_HOURS, by MUTT's own counters",
            ["component"],
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.slo_budget = Gauge(
            "mutt_slo_error_budget_remaining",
            "Share of the error budget that is left, below 0 when overspent",
            ["component"],
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.slo_burn_rate = Gauge(
            "mutt_slo_burn_rate",
            "Rate at which the error budget is spent; 1 spends it exactly in the window of the SLO",
            ["component", "window"],
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.partitions_ahead = Gauge(
            "mutt_audit_partitions_ahead",
            "Months after the present one that have a partition of the audit log; -1: the present one has none",
            multiprocess_mode="mostrecent",
            registry=None,
        )
        # Until the database was asked.
        self.partitions_ahead.set(math.nan)
        self.requests.labels(endpoint="/", status="200")
        self.latency.labels(endpoint="/")
        self.db_latency.labels(operation="probe")


class ArchiveMetrics:
    """:8090/metrics, for the dead letters."""

    def __init__(self, queues: Iterable[str]) -> None:
        self.letters = Counter(
            "mutt_dlq_archived_letters_total",
            "Dead letters that were too many for their queue and went to a file",
            ["queue"],
            registry=None,
        )
        self.failures = Counter(
            "mutt_dlq_archive_failures_total", "Times that they could not be written", registry=None
        )
        for queue in queues:
            self.letters.labels(queue=queue)


class TlsMetrics:
    """Certificates and handshakes of a process, beside the metrics of its role."""

    def __init__(self) -> None:
        self.expiry = Gauge(
            "mutt_tls_certificate_expiry_timestamp_seconds",
            "When a certificate in use, or the first of several, ends (seconds since 1970)",
            ["certificate"],
            multiprocess_mode="mostrecent",
            registry=None,
        )
        self.handshakes = Counter(
            "mutt_tls_handshakes_total",
            "TLS handshakes of clients (result: client_certificate|no_client_certificate|failed; reason for failures)",
            ["result", "reason"],
            registry=None,
        )


class ApiKeyMetrics:
    """On the port of each role that takes, or gives, an API key; `secret` is its name as in `Secrets`."""

    def __init__(self) -> None:
        self.used = Counter(
            "mutt_secrets_used_total",
            "Requests made with this value of an API key (which: current|next)",
            ["secret", "which"],
            registry=None,
        )
        self.last_used = Gauge(
            "mutt_secrets_last_used_timestamp_seconds",
            "When this value of an API key was last used, 0 for never (which: current|next)",
            ["secret", "which"],
            multiprocess_mode="max",
            registry=None,
        )


class SourceMetrics:
    """:8090/metrics, for the source of secrets."""

    def __init__(self) -> None:
        self.version = Gauge(
            "mutt_secrets_version",
            "Version in Vault of the secrets in use, 0 for another source",
            multiprocess_mode="max",
            registry=None,
        )


class VaultMetrics:
    """:8090/metrics, where Vault is that source; to be made only then: of a Vault that is not used nothing is told."""

    def __init__(self) -> None:
        self.up = Gauge(
            "mutt_vault_up",
            "1 when Vault gave the secrets at the last look",
            multiprocess_mode="max",
            registry=None,
        )
        self.token_ttl = Gauge(
            "mutt_vault_token_ttl_seconds",
            "What is left of the Vault token",
            multiprocess_mode="max",
            registry=None,
        )
