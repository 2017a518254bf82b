"""Settings of the section Ingestor."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("ingestor")


class IngestorSettings(Section):
    """The door of events, and what is wanted of an event."""

    server_port_ingestor: int = setting(8080, "HTTP listen port", ge=1, le=65535)
    max_ingest_queue_size: int = setting(
        1_000_000,
        "Queue cap for backpressure; of several REDIS_SHARDS each has an equal part of it",
        "events",
        ge=1,
    )
    ingest_queue_name: str = setting("mutt:ingest_queue", "Redis queue name", min_length=1)
    ingest_dlq_name: str = setting("mutt:dlq:ingest", "Dead letter queue for refused events", min_length=1)
    ingest_dlq_max_size: int = setting(
        100_000,
        "Refused events kept in the dead letter queue, an equal part in each shard; older ones go to DLQ_ARCHIVE_DIR, "
        "and are dropped only above twice as many",
        "events",
        ge=1,
    )
    metrics_prefix: str = setting("mutt:metrics", "Redis metrics key prefix", min_length=1)
    required_message_fields: tuple[str, ...] = setting(
        ("timestamp", "message", "hostname"), "Required fields in messages (comma-separated)"
    )
    ingest_dedup_window_seconds: int = setting(
        3600,
        "An event_id seen again within N seconds is acknowledged but not queued twice; 0 turns it off",
        "seconds",
        ge=0,
        le=7 * 86400,
    )
    ingest_dedup_prefix: str = setting(
        "mutt:dedup", "Redis key prefix for event ids already seen", min_length=1
    )
    ingest_max_body_bytes: int = setting(
        33_554_432,
        "Largest request body, compressed or not (413 above)",
        "bytes",
        ge=1024,
        le=1 << 30,
    )
    ingest_max_batch_events: int = setting(
        10_000, "Most events in one request (413 above)", "events", ge=1, le=1_000_000
    )
    ingest_max_event_bytes: int = setting(
        262_144, "Largest single event; a larger one is refused", "bytes", ge=256, le=64 << 20
    )
    ingest_body_timeout: float = setting(
        60,
        "Time a request body may take to arrive (seconds; 408 after)",
        "seconds",
        gt=0,
        le=3600,
    )
    ingest_retry_after_seconds: int = setting(5, "Retry-After of a 503 answer", "seconds", ge=1, le=3600)

    ingest_tls_cert_path: Path | None = setting(
        None,
        "Certificate of the ingestor with its chain, PEM; with it the ingestor speaks HTTPS and nothing else",
    )
    ingest_tls_key_path: Path | None = setting(
        None, "Private key of INGEST_TLS_CERT_PATH, PEM without a passphrase"
    )
    ingest_tls_client_ca_path: Path | None = setting(
        None, "CA certificates, PEM, that issue the certificates of senders"
    )
    ingest_tls_client_auth: Literal["none", "optional", "required"] | None = setting(
        None,
        "Certificates of senders: required; optional (one that is given must be valid); none "
        "(unset: required with INGEST_TLS_CLIENT_CA_PATH, else none). The API key is needed as well",
    )

    @property
    def ingest_client_auth(self) -> Literal["none", "optional", "required"]:
        """Whether senders show a certificate."""
        if self.ingest_tls_client_auth is not None:
            return self.ingest_tls_client_auth
        return "required" if self.ingest_tls_client_ca_path else "none"
