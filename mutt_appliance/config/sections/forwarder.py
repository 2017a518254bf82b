"""Settings of the section Moogsoft forwarder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("forwarder")


class ForwarderSettings(Section):
    """Moogsoft: where, how fast, how often again."""

    metrics_port_moog: int = setting(8083, "Prometheus metrics port", ge=1, le=65535)
    health_port_moog: int = setting(8084, "Health check port", ge=1, le=65535)
    moog_processing_list_prefix: str = setting("mutt:processing:moog", "Processing list prefix", min_length=1)
    moog_dlq_name: str = setting("mutt:dlq:moog", "Dead letter queue name", min_length=1)
    moog_dlq_max_size: int = setting(
        100_000,
        "Dead letters kept in the queue, an equal part in each shard; older ones go to DLQ_ARCHIVE_DIR",
        "letters",
        ge=1,
    )
    moog_dlq_replay_max: int = setting(
        3,
        "Times an alert that used up its retries is replayed by itself once Moogsoft is well; 0 turns it off",
        "replays",
        ge=0,
        le=1000,
    )
    moog_retry_set_name: str = setting(
        "mutt:retry:moog", "Sorted set of alerts waiting for their next attempt", min_length=1
    )
    moog_heartbeat_prefix: str = setting("mutt:heartbeat:moog", "Heartbeat key prefix", min_length=1)
    moog_heartbeat_interval: float = setting(10, "Heartbeat interval (seconds)", "seconds", gt=0, le=3600)
    moog_janitor_timeout: float = setting(
        30, "Heartbeat expiry for janitor (seconds)", "seconds", gt=0, le=86400
    )
    moog_webhook_url: str | None = setting(
        None,
        "Moogsoft webhook URL; required unless FORWARDER_WORKERS=0",
        pattern=r"^https?://[^\s/]+\S*$",
    )
    moog_webhook_timeout: float = setting(10, "HTTP request timeout (seconds)", "seconds", gt=0, le=600)
    moog_rate_limit: int = setting(
        50,
        "Max requests (shared across all pods) that arrive in any MOOG_RATE_PERIOD; each counts from its begin until "
        "a period after its answer",
        "requests",
        ge=1,
    )
    moog_rate_period: float = setting(
        1, "Per N seconds (shared rate limit window)", "seconds", ge=0.001, le=3600
    )
    moog_rate_limit_key: str = setting("mutt:rate_limit:moog", "Redis key for rate limiter", min_length=1)
    moog_max_retries: int = setting(5, "Max retries before DLQ", "retries", ge=0, le=1000)
    moog_retry_base_delay: float = setting(1.0, "Initial retry delay (seconds)", "seconds", gt=0, le=3600)
    moog_retry_max_delay: float = setting(60.0, "Max retry delay (seconds)", "seconds", gt=0, le=86400)
    moog_circuit_failures: int = setting(
        5,
        "Failed requests in a row, of all forwarders (no answer, 5xx, 408, 425, 429), after which Moogsoft counts as "
        "away and only probes go out; 0 turns it off. With more than MOOG_MAX_RETRIES an outage can use up those of an "
        "alert",
        "requests",
        ge=0,
        le=1000,
    )
    moog_circuit_probe_interval: float = setting(
        5.0,
        "Time between the first probes of a Moogsoft that is away (seconds); doubled with each that fails",
        "seconds",
        ge=0.1,
        le=3600,
    )
    moog_circuit_probe_max_interval: float = setting(
        30.0, "Longest time between two probes (seconds)", "seconds", ge=0.1, le=3600
    )
    moog_max_concurrency: int = setting(
        50, "Requests under way at once in one forwarder process", "requests", ge=1, le=1000
    )
    moog_format: Literal["lam", "cloud"] = setting(
        "lam",
        "lam: one event object for an AIOps/Enterprise webhook LAM; cloud: an array of events for APEX AIOps",
    )
    moog_cloud_batch_size: int = setting(
        50, "Most events in one request of the cloud format", "events", ge=1, le=1000
    )
    moog_auth_scheme: Literal["header", "bearer", "basic", "none"] = setting(
        "header", "How MOOG_API_KEY is sent: header, bearer, basic (with MOOG_AUTH_USER), none"
    )
    moog_auth_header: str | None = setting(
        None,
        "Header of the scheme `header` (unset: apiKey for the cloud format, X-API-KEY for the LAM)",
        pattern=r"^[A-Za-z0-9-]+$",
    )
    moog_auth_user: str | None = setting(None, "User name of the scheme `basic`")
    moog_signature_fields: tuple[str, ...] = setting(
        ("hostname", "rule_id", "object"),
        "Alert fields that make up the signature by which Moogsoft de-duplicates (comma-separated); `object` is "
        "the interface, neighbour or trap instance the message is about",
    )

    moog_tls_ca_cert_path: Path | None = setting(
        None,
        "CA certificates, PEM, that the webhook is trusted by (unset: those of this machine)",
    )
    moog_tls_client_cert_path: Path | None = setting(
        None, "Client certificate with its chain, PEM, that the webhook is shown"
    )
    moog_tls_client_key_path: Path | None = setting(
        None, "Private key of MOOG_TLS_CLIENT_CERT_PATH, PEM without a passphrase"
    )

    @property
    def moog_header_name(self) -> str:
        """Header that carries MOOG_API_KEY in the scheme `header`."""
        return self.moog_auth_header or ("apiKey" if self.moog_format == "cloud" else "X-API-KEY")
