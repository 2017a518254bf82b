"""Checks that look at more than one setting."""

from __future__ import annotations

from urllib.parse import urlsplit

from mutt_appliance.config.faults import Fault
from mutt_appliance.config.settings import Settings, variable_name

PORTS = (
    "server_port_ingestor",
    "metrics_port_alerter",
    "health_port_alerter",
    "metrics_port_moog",
    "health_port_moog",
    "server_port_webui",
)
# (must be larger, than): equal is a fault where `strict`
ORDERED = (
    ("alerter_janitor_timeout", "alerter_heartbeat_interval", True),
    ("moog_janitor_timeout", "moog_heartbeat_interval", True),
    ("alerter_queue_shed_threshold", "alerter_queue_warn_threshold", False),
    ("moog_retry_max_delay", "moog_retry_base_delay", False),
    ("restart_backoff_max", "restart_backoff_base", False),
    ("db_pool_max_conn", "db_pool_min_conn", False),
    ("liveness_timeout", "brpoplpush_timeout", True),
    ("ingest_max_body_bytes", "ingest_max_event_bytes", False),
)
KEY_NAMES = (
    "ingest_queue_name",
    "ingest_dlq_name",
    "alert_queue_name",
    "alerter_dlq_name",
    "moog_dlq_name",
    "moog_retry_set_name",
    "moog_rate_limit_key",
    "alerter_processing_list_prefix",
    "alerter_heartbeat_prefix",
    "moog_processing_list_prefix",
    "moog_heartbeat_prefix",
    "unhandled_prefix",
    "ingest_dedup_prefix",
    "metrics_prefix",
)
# Longest path of a Unix socket, less the end mark: sun_path in unix(7).
SOCKET_PATH_MAX_BYTES = 107


def cross_check(settings: Settings, given: set[str]) -> list[Fault]:
    """Faults that show only when settings are seen together; `given` are the fields the user set."""
    return [
        *_webhook(settings),
        *_order(settings),
        *_distinct(settings, PORTS, "listens on the same port as"),
        *_distinct(settings, KEY_NAMES, "is the same Redis key as"),
        *_authentication(settings),
        *_vault(settings, given),
        *_paths(settings),
    ]


def _webhook(settings: Settings) -> list[Fault]:
    if settings.moog_webhook_url and "@" in urlsplit(settings.moog_webhook_url).netloc:
        return [
            Fault(
                "MOOG_WEBHOOK_URL",
                "(hidden)",
                "has a user name or password in it, which would be in logs and process lists",
                "use MOOG_AUTH_SCHEME=basic, MOOG_AUTH_USER, and MOOG_API_KEY in MUTT_SECRETS_FILE",
            )
        ]
    if settings.moog_webhook_url or settings.forwarder_workers == 0:
        return []
    return [
        Fault(
            "MOOG_WEBHOOK_URL",
            "",
            "is not set: alerts have nowhere to go",
            "set the URL of the Moogsoft webhook, or FORWARDER_WORKERS=0 to keep alerts queued",
        )
    ]


def order_faults(settings: Settings) -> list[tuple[str, str]]:
    """Pairs of settings of which the first must be larger than the second and is not."""
    return [
        (larger, smaller)
        for larger, smaller, strict in ORDERED
        if getattr(settings, larger) < getattr(settings, smaller)
        or (strict and getattr(settings, larger) == getattr(settings, smaller))
    ]


def _order(settings: Settings) -> list[Fault]:
    faults = []
    for larger, smaller in order_faults(settings):
        word = "more than" if (larger, smaller, True) in ORDERED else "at least"
        faults.append(
            Fault(
                variable_name(larger),
                str(getattr(settings, larger)),
                f"must be {word} {variable_name(smaller)}={getattr(settings, smaller)}",
                f"raise {variable_name(larger)} or lower {variable_name(smaller)}",
            )
        )
    return faults


def _distinct(settings: Settings, fields: tuple[str, ...], problem: str) -> list[Fault]:
    seen: dict[object, str] = {}
    faults = []
    for field in fields:
        value = getattr(settings, field)
        if value in seen:
            faults.append(
                Fault(
                    variable_name(field),
                    str(value),
                    f"{problem} {variable_name(seen[value])}",
                    "give it another",
                )
            )
        seen.setdefault(value, field)
    return faults


def _authentication(settings: Settings) -> list[Fault]:
    if settings.moog_auth_scheme == "basic" and not settings.moog_auth_user:
        return [
            Fault(
                "MOOG_AUTH_USER", "", "is not set, but MOOG_AUTH_SCHEME=basic needs it", "set the user name"
            )
        ]
    return []


def _vault(settings: Settings, given: set[str]) -> list[Fault]:
    if "vault_addr" not in given:
        return []
    return [
        Fault(
            "VAULT_ADDR",
            str(settings.vault_addr),
            "this version takes secrets from MUTT_SECRETS_FILE only",
            "unset VAULT_ADDR and put the secrets into that file",
        )
    ]


def _paths(settings: Settings) -> list[Fault]:
    faults = []
    for field in ("mutt_data_dir", "mutt_runtime_dir", "mutt_secrets_file", "audit_archive_dir"):
        path = getattr(settings, field)
        if path is not None and not path.is_absolute():
            faults.append(
                Fault(variable_name(field), str(path), "must be an absolute path", "begin it with /")
            )
    longest = settings.mutt_runtime_dir / "postgres" / ".s.PGSQL.65535"
    if settings.embedded and len(bytes(longest)) > SOCKET_PATH_MAX_BYTES:
        faults.append(
            Fault(
                "MUTT_RUNTIME_DIR",
                str(settings.mutt_runtime_dir),
                f"is too long for Unix sockets below it ({len(bytes(longest))} bytes, at most {SOCKET_PATH_MAX_BYTES})",
                "choose a shorter path",
            )
        )
    return faults
