"""Settings of the section Redis."""

from __future__ import annotations

from pathlib import Path

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("redis")


class RedisSettings(Section):
    """Where Redis is, and how it is spoken to."""

    redis_host: str | None = setting(
        None,
        "Redis hostname, or the path of a Unix socket; with no store named (REDIS_HOST, REDIS_SENTINELS, "
        "REDIS_CLUSTER_NODES, DB_HOST) the appliance runs its own Redis and PostgreSQL, with only DB_HOST set it is "
        "localhost",
    )
    redis_port: int = setting(6379, "Redis port", ge=1, le=65535)
    redis_db: int = setting(0, "Redis database number", ge=0, le=15)
    redis_user: str | None = setting(None, "Redis ACL user (unset: the default user)")
    redis_tls_enabled: bool = setting(True, "Enable TLS for Redis (external hosts; a Unix socket needs none)")
    redis_ca_cert_path: Path | None = setting(Path("/etc/mutt/certs/ca.pem"), "Redis TLS CA certificate path")
    redis_client_cert_path: Path | None = setting(
        None, "Certificate that MUTT shows to Redis (and to Sentinels), with its chain, as PEM"
    )
    redis_client_key_path: Path | None = setting(
        None, "Private key of REDIS_CLIENT_CERT_PATH (unset: it is in the same file)"
    )
    redis_sentinels: tuple[str, ...] = setting(
        (),
        "Sentinels that know the master, as host:port,host:port (port 26379 if not given), instead of REDIS_HOST",
        "host:port addresses",
    )
    redis_sentinel_master: str = setting(
        "mymaster",
        "Name of the master in the Sentinels' configuration",
        pattern=r"^[A-Za-z0-9._-]+$",
    )
    redis_sentinel_user: str | None = setting(
        None,
        "ACL user of the Sentinels (unset: the default user); its password is REDIS_SENTINEL_PASS",
    )
    redis_sentinel_tls_enabled: bool | None = setting(
        None, "Enable TLS for Sentinels (unset: as REDIS_TLS_ENABLED)"
    )
    redis_cluster_nodes: tuple[str, ...] = setting(
        (),
        "Some nodes of a Redis Cluster, as host:port,host:port (REDIS_PORT if not given), instead of REDIS_HOST",
        "host:port addresses",
    )
    redis_wait_replicas: int = setting(
        0,
        "Events are answered with 2xx only after so many replicas have them; with fewer the answer is 503",
        "replicas",
        ge=0,
        le=16,
    )
    redis_wait_timeout_ms: int = setting(1000, "Time replicas have for it", "milliseconds", ge=10, le=60_000)
    redis_max_connections: int = setting(20, "Redis connection pool size", "connections", ge=2, le=10_000)
    redis_timeout: float = setting(
        5, "Time Redis has to accept a connection or to answer (seconds)", "seconds", gt=0, le=300
    )
    redis_hash_tag: str | None = setting(
        None,
        "Prefixes every key with {TAG}, so that Redis Cluster keeps them in one slot (unset: none, on a Cluster mutt)",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    redis_shards: int = setting(
        1,
        "Pipelines side by side, each with all its keys under a hash tag of its own; a host's events go through "
        "one of them",
        "shards",
        ge=1,
        le=64,
    )

    @property
    def redis_sentinels_over_tls(self) -> bool:
        """True when Sentinels are spoken to over TLS."""
        given = self.redis_sentinel_tls_enabled
        return self.redis_tls_enabled if given is None else given
