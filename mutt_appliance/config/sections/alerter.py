"""Settings of the section Alerter."""

from __future__ import annotations

from typing import Literal

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("alerter")


class AlerterSettings(Section):
    """Matching, unhandled events, back-pressure."""

    pod_name: str | None = setting(
        None,
        "Unique worker identifier; processes of a pool append their number (unset: made anew at each start)",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    metrics_port_alerter: int = setting(8081, "Prometheus metrics port", ge=1, le=65535)
    health_port_alerter: int = setting(8082, "Health check port", ge=1, le=65535)
    alert_queue_name: str = setting("mutt:alert_queue", "Redis alert queue name", min_length=1)
    alerter_processing_list_prefix: str = setting(
        "mutt:processing:alerter", "Processing list prefix", min_length=1
    )
    alerter_heartbeat_prefix: str = setting("mutt:heartbeat:alerter", "Heartbeat key prefix", min_length=1)
    alerter_heartbeat_interval: float = setting(10, "Heartbeat interval (seconds)", "seconds", gt=0, le=3600)
    alerter_janitor_timeout: float = setting(
        30, "Heartbeat expiry for janitor (seconds)", "seconds", gt=0, le=86400
    )
    alerter_dlq_name: str = setting("mutt:dlq:alerter", "Dead letter queue name", min_length=1)
    alerter_dlq_max_size: int = setting(
        100_000,
        "Dead letters kept in the queue, an equal part in each shard; older ones go to DLQ_ARCHIVE_DIR",
        "letters",
        ge=1,
    )
    alerter_max_retries: int = setting(3, "Max retries before DLQ", "retries", ge=0, le=100)
    alerter_batch_size: int = setting(1000, "Events claimed and settled together", "events", ge=1, le=50_000)
    alerter_batches_at_once: int = setting(
        2,
        "Batches one alerter process has in hand at once: one is matched while another waits for the stores",
        "batches",
        ge=1,
        le=8,
    )
    alerter_queue_warn_threshold: int = setting(
        1000,
        "Alert queue depth, of all shards together, above which the alerter warns",
        "alerts",
        ge=1,
    )
    alerter_queue_shed_threshold: int = setting(
        2000,
        "Alert queue depth, of all shards together, above which the alerter sheds (but not while an outage of Moogsoft "
        "lasts, and until its backlog is gone)",
        "alerts",
        ge=1,
    )
    alerter_queue_outage_threshold: int = setting(
        200_000,
        "Alert queue depth above which, in an outage of Moogsoft, events wait in the ingest queue instead",
        "alerts",
        ge=1,
    )
    alerter_shed_mode: Literal["dlq", "defer"] = setting(
        "dlq",
        "Shedding: dlq puts alerts into the alerter dead letter queue, defer leaves events in the ingest queue",
    )
    alerter_defer_sleep_ms: int = setting(
        250,
        "Pause between looks at the alert queue while deferring",
        "milliseconds",
        ge=1,
        le=60_000,
    )
    brpoplpush_timeout: float = setting(5, "BRPOPLPUSH timeout (seconds)", "seconds", ge=0.1, le=60)
    cache_reload_interval: float = setting(300, "Cache refresh interval (seconds)", "seconds", ge=1, le=86400)
    regex_timeout_ms: int = setting(
        50,
        "Time one rule may take on one message where it needs backtracking; after 3 overruns it is switched off "
        "until the next reload",
        "milliseconds",
        ge=1,
        le=5000,
    )
    unhandled_prefix: str = setting("mutt:unhandled", "Redis key prefix for unhandled counters", min_length=1)
    unhandled_threshold: int = setting(100, "Events before meta-alert", "events", ge=1)
    unhandled_expiry_seconds: int = setting(
        86400, "Counter expiry (24 hours)", "seconds", ge=1, le=366 * 86400
    )
    unhandled_default_team: str = setting("NETO", "Default team for unhandled alerts", min_length=1)
