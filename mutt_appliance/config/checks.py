"""Checks that look at more than one setting."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from mutt_appliance.config.addresses import Address
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.faults import Fault
from mutt_appliance.config.settings import Settings

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
    ("moog_circuit_probe_max_interval", "moog_circuit_probe_interval", False),
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
# A certificate and its key, which are of use together only.
CERTIFICATE_AND_KEY = (
    ("ingest_tls_cert_path", "ingest_tls_key_path"),
    ("webui_tls_cert_path", "webui_tls_key_path"),
    ("moog_tls_client_cert_path", "moog_tls_client_key_path"),
)
ABSOLUTE = (
    "mutt_data_dir",
    "mutt_runtime_dir",
    "mutt_secrets_file",
    "dlq_archive_dir",
    "vault_secret_id_file",
    "audit_archive_dir",
    *(field for pair in CERTIFICATE_AND_KEY for field in pair),
    "ingest_tls_client_ca_path",
    "moog_tls_ca_cert_path",
)
OF_THE_INGEST_DOOR = ("ingest_tls_client_ca_path", "ingest_tls_client_auth")
OF_AN_HTTPS_WEBHOOK = ("moog_tls_ca_cert_path", "moog_tls_client_cert_path")
# Longest path of a Unix socket, less the end mark: sun_path in unix(7).
SOCKET_PATH_MAX_BYTES = 107


def cross_check(settings: Settings) -> list[Fault]:
    """Faults that show only when settings are seen together."""
    return [
        *_webhook(settings),
        *_order(settings),
        *_distinct(settings, PORTS, "listens on the same port as"),
        *_distinct(settings, KEY_NAMES, "is the same Redis key as"),
        *_authentication(settings),
        *_certificates(settings),
        *_vault(settings),
        *_redis(settings),
        *_database(settings),
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


def _certificates(settings: Settings) -> list[Fault]:
    faults = []
    for certificate, key in CERTIFICATE_AND_KEY:
        for needed, other in ((certificate, key), (key, certificate)):
            if getattr(settings, needed) is None and getattr(settings, other) is not None:
                problem = f"is not set, but {variable_name(other)} needs it"
                faults.append(Fault(variable_name(needed), "", problem, "name the file, or unset the other"))
    if settings.ingest_tls_cert_path is None:
        faults += [
            _without(settings, field, "has no effect without INGEST_TLS_CERT_PATH", "set both")
            for field in OF_THE_INGEST_DOOR
            if getattr(settings, field) is not None
        ]
    if settings.ingest_client_auth != "none" and settings.ingest_tls_client_ca_path is None:
        problem = f"is not set, but INGEST_TLS_CLIENT_AUTH={settings.ingest_client_auth} needs it"
        remedy = "name the file of the authority that issues the certificates of senders"
        faults.append(Fault("INGEST_TLS_CLIENT_CA_PATH", "", problem, remedy))
    if (settings.moog_webhook_url or "").startswith("http:"):
        faults += [
            _without(settings, field, "has no effect on MOOG_WEBHOOK_URL=http://…", "use https:// there")
            for field in OF_AN_HTTPS_WEBHOOK
            if getattr(settings, field) is not None
        ]
    return faults


def _without(settings: Settings, field: str, problem: str, remedy: str) -> Fault:
    return Fault(variable_name(field), str(getattr(settings, field)), problem, remedy)


def unprotected(settings: Settings) -> list[str]:
    """Connections over a network that the settings leave unencrypted, or unverified: one sentence each.

    None of this is a fault: an operator may want it so. It must not pass in silence.
    """
    found = []
    if not settings.redis_tls_enabled and _any_remote(settings.redis_servers):
        found.append(f"REDIS_TLS_ENABLED=false: password and events go unencrypted to {settings.redis_where}")
    elif (
        not settings.redis_sentinels_over_tls
        and settings.redis_sentinels
        and _any_remote(settings.redis_servers)
    ):
        found.append(
            "REDIS_SENTINEL_TLS_ENABLED=false: who can speak for a Sentinel can name another master "
            f"({','.join(settings.redis_sentinels)})"
        )
    if not settings.db_tls_enabled and _any_remote(settings.db_hosts):
        found.append(f"DB_TLS_ENABLED=false: password and events go unencrypted to {settings.db_address}")
    webhook = urlsplit(settings.moog_webhook_url or "")
    if webhook.scheme == "http" and not is_this_machine(webhook.hostname or ""):
        found.append(f"MOOG_WEBHOOK_URL is http://: key and alerts go unencrypted ({webhook.hostname})")
    if settings.ingest_tls_client_ca_path and settings.ingest_client_auth == "none":
        found.append("INGEST_TLS_CLIENT_AUTH=none: certificates of senders are not looked at")
    return found


def _any_remote(servers: tuple[Address, ...]) -> bool:
    return any(not is_this_machine(server.host) for server in servers)


def is_this_machine(host: str) -> bool:
    """True for a Unix socket (/path, @name), localhost and loopback addresses."""
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _vault(settings: Settings) -> list[Fault]:
    if settings.vault_addr is None:
        return []
    faults = []
    if not settings.vault_role_id:
        faults.append(
            Fault(
                "VAULT_ROLE_ID",
                "",
                "is not set, but VAULT_ADDR is",
                "set the role id of MUTT's AppRole (vault read auth/approle/role/mutt/role-id)",
            )
        )
    parts = urlsplit(settings.vault_addr)
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        faults.append(
            Fault(
                "VAULT_ADDR",
                settings.vault_addr,
                "would send the secret id and every secret unencrypted",
                "use https; http is for a Vault agent or proxy on this machine (127.0.0.1)",
            )
        )
    if "@" in parts.netloc:
        faults.append(
            Fault("VAULT_ADDR", "(hidden)", "has a user name or password in it", "use the AppRole settings")
        )
    return faults


def _redis(settings: Settings) -> Iterator[Fault]:
    ways = {
        "REDIS_HOST": settings.redis_host,
        "REDIS_SENTINELS": ",".join(settings.redis_sentinels),
        "REDIS_CLUSTER_NODES": ",".join(settings.redis_cluster_nodes),
    }
    chosen = [name for name, value in ways.items() if value]
    for name in chosen[1:]:
        yield Fault(
            name,
            str(ways[name]),
            f"is set beside {chosen[0]}, and only one of them can say where Redis is",
            "unset all but one of REDIS_HOST, REDIS_SENTINELS, REDIS_CLUSTER_NODES",
        )
    if settings.redis_cluster_nodes and settings.redis_db:
        yield Fault(
            "REDIS_DB", str(settings.redis_db), "a Redis Cluster has only database 0", "unset REDIS_DB"
        )
    if settings.redis_client_key_path and not settings.redis_client_cert_path:
        yield Fault(
            "REDIS_CLIENT_KEY_PATH",
            str(settings.redis_client_key_path),
            "is set without REDIS_CLIENT_CERT_PATH",
            "name the certificate that belongs to the key",
        )
    if settings.embedded and settings.redis_wait_replicas:
        yield Fault(
            "REDIS_WAIT_REPLICAS",
            str(settings.redis_wait_replicas),
            "the embedded Redis has no replicas: every event would be answered with 503",
            "unset it, or name an external Redis with replicas",
        )
    if settings.redis_wait_replicas and settings.redis_wait_timeout_ms > settings.redis_timeout * 1000:
        yield Fault(
            "REDIS_WAIT_TIMEOUT_MS",
            str(settings.redis_wait_timeout_ms),
            f"must be at most REDIS_TIMEOUT={settings.redis_timeout:g} s",
            "lower REDIS_WAIT_TIMEOUT_MS or raise REDIS_TIMEOUT",
        )


def _database(settings: Settings) -> list[Fault]:
    faults = []
    try:
        settings.db_hosts  # noqa: B018 - what it raises is the fault
    except ValueError as error:
        faults.append(
            Fault("DB_HOST", settings.db_address, str(error), "write host or host:port, with commas between")
        )
    halves = ("db_tls_client_cert_path", "db_tls_client_key_path")
    missing = [half for half in halves if getattr(settings, half) is None]
    if len(missing) == 1:
        faults.append(
            Fault(
                variable_name(missing[0]),
                "",
                "is not set, but a client certificate is used together with its key",
                "set both or neither",
            )
        )
    elif not missing and not settings.db_tls_enabled:
        faults.append(
            Fault(
                "DB_TLS_CLIENT_CERT_PATH",
                str(settings.db_tls_client_cert_path),
                "is of no use with DB_TLS_ENABLED=false",
                "unset it, or set DB_TLS_ENABLED=true",
            )
        )
    return faults


def _paths(settings: Settings) -> list[Fault]:
    faults = []
    for field in ABSOLUTE:
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
