"""For each alert: series that make it fire, and some much like them that do not.

Values are in promtool's notation, one a minute: `5+2x30` is 5, 7, 9 … for 30 minutes after the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Series = Mapping[str, str]
APPLIANCE = {"appliance": "hq"}
HOST = {**APPLIANCE, "instance": "mutt-1"}


@dataclass(frozen=True)
class Case:
    """`labels` are those of the alert that comes of `fires`, without those that the rule adds."""

    fires: Series
    silent: Series
    labels: Mapping[str, str] = field(default_factory=lambda: HOST)
    minutes: int = 60


def of(metric: str, **labels: str) -> str:
    """A series of the host."""
    every = {**HOST, **labels}
    return metric + "{" + ",".join(f'{name}="{value}"' for name, value in every.items()) + "}"


def always(value: float, minutes: int = 120) -> str:
    """The same value all the time."""
    return f"{value}+0x{minutes}"


def growing(step: float, minutes: int = 120) -> str:
    """A counter that grows by `step` a minute."""
    return f"0+{step}x{minutes}"


FLAT = growing(0)
REQUESTS = "mutt_ingest_requests_total"
WEBHOOK = "mutt_moog_requests_total"


def traffic(success: float, fail: float, reason: str = "queue_full", minutes: int = 120) -> Series:
    """Requests a minute to the ingestor, and the target they are measured against."""
    return {
        of(REQUESTS, status="success", reason=""): growing(success, minutes),
        of(REQUESTS, status="fail", reason=reason): growing(fail, minutes),
        of("mutt_slo_target", component="ingestor"): always(0.995, minutes),
    }


CASES: Mapping[str, Case] = {
    "MUTTIngestQueueFull": Case(
        {of("mutt_ingest_queue_depth"): always(900_001)}, {of("mutt_ingest_queue_depth"): always(900_000)}
    ),
    "MUTTHighAlerterDLQ": Case(
        {of("mutt_alerter_dlq_depth"): always(101)}, {of("mutt_alerter_dlq_depth"): always(100)}
    ),
    "MUTTHighMoogDLQ": Case({of("mutt_moog_dlq_depth"): always(51)}, {of("mutt_moog_dlq_depth"): always(50)}),
    "MUTTMoogRateLimitHit": Case(
        {of("mutt_moog_rate_limit_hits_total"): growing(660)},
        {of("mutt_moog_rate_limit_hits_total"): growing(600)},
    ),
    "MUTTTargetDown": Case(
        {of("up", job="mutt-alerter"): always(0)},
        {of("up", job="mutt-alerter"): always(1), of("up", job="node"): always(0)},
        {**HOST, "job": "mutt-alerter"},
    ),
    "MUTTAbsent": Case(
        {of("up", job="node"): always(1)},
        {of("up", job="mutt-ingestor"): always(0)},
        {"job": "mutt-ingestor"},
    ),
    "MUTTProcessDown": Case(
        {of("mutt_process_up", process="alerter:1"): always(0)},
        {of("mutt_process_up", process="alerter:1"): always(1)},
        {**HOST, "process": "alerter:1"},
    ),
    "MUTTProcessFlapping": Case(
        {of("mutt_process_restarts_total", process="alerter:1"): growing(0.5)},
        {of("mutt_process_restarts_total", process="alerter:1"): growing(0.1)},
        {**HOST, "process": "alerter:1"},
    ),
    "MUTTRedisAway": Case(
        {
            of("mutt_component_up", process="ingestor:0", component="redis"): always(1),
            of("mutt_component_up", process="alerter:0", component="redis-1"): always(0),
        },
        {
            of("mutt_component_up", process="alerter:0", component="redis"): always(1),
            of("mutt_component_up", process="alerter:0", component="database"): always(0),
        },
    ),
    "MUTTDatabaseAway": Case(
        {of("mutt_component_up", process="webui:0", component="database"): always(0)},
        {
            of("mutt_component_up", process="webui:0", component="database"): always(1),
            of("mutt_component_up", process="webui:0", component="redis"): always(0),
        },
    ),
    "MUTTIngestUnavailable": Case(
        {of(REQUESTS, status="fail", reason="queue_full"): growing(1)},
        {
            of(REQUESTS, status="fail", reason="queue_full"): FLAT,
            of(REQUESTS, status="fail", reason="unauthorized"): growing(1),
            of(REQUESTS, status="fail", reason="draining"): growing(1),
        },
        {**HOST, "reason": "queue_full"},
    ),
    "MUTTIngestQueueGrowing": Case(
        {of("mutt_ingest_queue_depth"): "10001+10x120"}, {of("mutt_ingest_queue_depth"): "90000-10x120"}
    ),
    "MUTTNoEvents": Case(
        {of("mutt_ingest_events_total", outcome="queued"): FLAT},
        {
            of("mutt_ingest_events_total", outcome="queued"): FLAT,
            of("mutt_ingest_events_total", outcome="duplicate"): growing(0.2),
        },
        APPLIANCE,
    ),
    "MUTTSendersUnauthorized": Case(
        {of(REQUESTS, status="fail", reason="unauthorized"): growing(1)},
        {of(REQUESTS, status="fail", reason="unauthorized"): FLAT},
        APPLIANCE,
    ),
    "MUTTEventsRefused": Case(
        {of("mutt_ingest_events_total", outcome="refused"): growing(7)},
        {
            of("mutt_ingest_events_total", outcome="refused"): growing(5),
            of("mutt_ingest_events_total", outcome="queued"): growing(5000),
        },
        APPLIANCE,
    ),
    "MUTTAlerterStalled": Case(
        {
            of("mutt_ingest_queue_depth"): always(5),
            of("mutt_alerter_events_processed_total", status="handled"): FLAT,
            of("mutt_alerter_events_processed_total", status="error"): growing(9),
        },
        {
            of("mutt_ingest_queue_depth"): always(5),
            of("mutt_alerter_events_processed_total", status="handled"): growing(1),
        },
        APPLIANCE,
    ),
    "MUTTAlertsShed": Case(
        {of("mutt_alerter_shed_events_total", mode="dlq"): growing(1)},
        {
            of("mutt_alerter_shed_events_total", mode="dlq"): FLAT,
            of("mutt_alerter_shed_events_total", mode="defer"): growing(1),
        },
        APPLIANCE,
    ),
    "MUTTDLQGrowing": Case(
        {of("mutt_moog_dlq_depth"): growing(0.5)},
        {of("mutt_moog_dlq_depth"): growing(0.2), of("mutt_alerter_dlq_depth"): always(5000)},
        {**APPLIANCE, "queue": "moog"},
    ),
    "MUTTRuleReloadFailing": Case(
        {of("mutt_alerter_cache_reload_failures_total"): growing(1)},
        {of("mutt_alerter_cache_reload_failures_total"): growing(0.1)},
    ),
    "MUTTRulesLeftOut": Case(
        {of("mutt_alerter_cache_rule_errors"): always(1)},
        {of("mutt_alerter_cache_rule_errors"): always(0)},
        APPLIANCE,
    ),
    "MUTTNoRules": Case(
        {of("mutt_alerter_cache_rules_count"): always(0)},
        {of("mutt_alerter_cache_rules_count"): always(1)},
        APPLIANCE,
    ),
    "MUTTPartitionsMissing": Case(
        {of("mutt_audit_partitions_ahead"): always(0)},
        {of("mutt_audit_partitions_ahead"): always(1)},
        APPLIANCE,
        120,
    ),
    "MUTTRetentionBehind": Case(
        {of("mutt_audit_months_due"): always(1, 480)},
        {of("mutt_audit_months_due"): always(0, 480)},
        APPLIANCE,
        420,
    ),
    "MUTTArchiveFails": Case(
        {of("mutt_audit_archive_failures_total"): growing(0.1, 480)},
        {of("mutt_audit_archive_failures_total"): FLAT},
        APPLIANCE,
        120,
    ),
    "MUTTDiskLow": Case(
        {
            of("mutt_disk_free_bytes", path="/var/lib/mutt"): always(9),
            of("mutt_disk_size_bytes", path="/var/lib/mutt"): always(100),
        },
        {
            of("mutt_disk_free_bytes", path="/var/lib/mutt"): always(10),
            of("mutt_disk_size_bytes", path="/var/lib/mutt"): always(100),
        },
        {**HOST, "path": "/var/lib/mutt"},
    ),
    "MUTTMoogAway": Case(
        {of("mutt_component_up", process="forwarder:0", component="moogsoft"): always(0)},
        {
            of("mutt_component_up", process="forwarder:0", component="moogsoft"): always(1),
            of("mutt_component_up", process="forwarder:0", component="lease"): always(0),
        },
    ),
    "MUTTDeadLettersNotArchived": Case(
        {of("mutt_dlq_archive_failures_total"): growing(1)},
        {of("mutt_dlq_archive_failures_total"): FLAT},
        APPLIANCE,
    ),
    "MUTTAlertsRetried": Case(
        {of("mutt_moog_retry_depth"): always(101)}, {of("mutt_moog_retry_depth"): always(100)}, APPLIANCE
    ),
    "MUTTAlertQueueDeep": Case(
        {of("mutt_alerter_queue_depth"): always(1001)},
        {of("mutt_alerter_queue_depth"): always(1000)},
        APPLIANCE,
    ),
    "MUTTForwarderStalled": Case(
        {of("mutt_alerter_queue_depth"): always(5), of(WEBHOOK, status="success", reason=""): FLAT},
        {
            of("mutt_alerter_queue_depth"): always(5),
            of(WEBHOOK, status="fail", reason="http_503"): growing(1),
        },
        APPLIANCE,
    ),
    # The budget is 0.5 %: 8 % that failed spend it 16 times as fast as it may be, 2.5 % 5 times; what a sender
    # did wrong counts for nothing.
    "MUTTSLOFastBurn": Case(
        traffic(920, 80),
        {**traffic(975, 25), **traffic(975, 500, "unauthorized")},
        {**APPLIANCE, "component": "ingestor"},
    ),
    "MUTTSLOSlowBurn": Case(
        traffic(980, 20, minutes=180),
        traffic(986, 14, minutes=180),
        {**APPLIANCE, "component": "ingestor"},
        180,
    ),
    # promtool's clock begins at 0.
    "MUTTCertificateExpiring": Case(
        {of("mutt_tls_certificate_expiry_timestamp_seconds", certificate="ingest"): always(29 * 86400)},
        {of("mutt_tls_certificate_expiry_timestamp_seconds", certificate="ingest"): always(31 * 86400)},
        {**HOST, "certificate": "ingest"},
        120,
    ),
    "MUTTCertificateEnds": Case(
        {of("mutt_tls_certificate_expiry_timestamp_seconds", certificate="ingest"): always(-60)},
        {of("mutt_tls_certificate_expiry_timestamp_seconds", certificate="ingest"): always(4 * 86400)},
        {**HOST, "certificate": "ingest"},
    ),
    "MUTTVaultAway": Case({of("mutt_vault_up"): always(0)}, {of("mutt_vault_up"): always(1)}),
}
