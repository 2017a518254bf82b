"""Redis clients, blocking and asyncio, made in one way.

They never repeat a command by themselves: a script whose answer was lost may have run, and only the
caller knows what is safe to do then. The next try of the caller finds the master anew.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from mutt_appliance.config import Settings
from mutt_appliance.config.addresses import Address
from mutt_appliance.queueing.connections import AsyncTcp, AsyncUnix, BlockingTcp, BlockingUnix
from mutt_appliance.queueing.keys import shard_tag
from mutt_appliance.queueing.locating import (
    Fixed,
    Locator,
    MasterNotFoundError,
    Question,
    Witnesses,
    cluster_question,
    sentinel_question,
)
from mutt_appliance.queueing.routes import Passwords, Route
from mutt_appliance.secrets import Secrets

__all__ = [
    "MasterNotFoundError",
    "NoScriptError",
    "RedisConnectionError",
    "RedisError",
    "ResponseError",
    "async_client",
    "blocking_client",
    "locator_of",
]

# A located server that does not answer is located again, so it has less time than a fixed one.
LOCATED_CONNECT_SECS = 2.0
WITNESS_SECS = 1.0

T = TypeVar("T")
SecretsSource = Secrets | Callable[[], Secrets]
"""Secrets, or where those of now are: it is asked at each connect, so that a new password needs no new client."""


def blocking_client(
    settings: Settings, secrets: SecretsSource, name: str, shard: int = 0, *, waits: bool = False
) -> redis.Redis:
    """Client for a role without an event loop; `name` is shown by CLIENT LIST.

    With Sentinels it speaks to the master, in a Cluster to the master of the keys of `shard`. An answer is late
    after REDIS_TIMEOUT; for one that `waits` in Redis up to BRPOPLPUSH_TIMEOUT, so much later.
    """
    pool = redis.BlockingConnectionPool(
        connection_class=BlockingUnix if settings.redis_on_socket else BlockingTcp,
        retry=Retry(NoBackoff(), 0),  # type: ignore[no-untyped-call]
        **_options(settings, secrets, name, shard, waits=waits),
    )
    return redis.Redis(connection_pool=pool)


def async_client(
    settings: Settings, secrets: SecretsSource, name: str, shard: int = 0, *, waits: bool = False
) -> redis.asyncio.Redis:
    """Client for a role with an event loop."""
    pool = redis.asyncio.BlockingConnectionPool(
        connection_class=AsyncUnix if settings.redis_on_socket else AsyncTcp,
        retry=AsyncRetry(NoBackoff(), 0),
        **_options(settings, secrets, name, shard, waits=waits),
    )
    return redis.asyncio.Redis(connection_pool=pool)


def locator_of(settings: Settings, secrets: SecretsSource, shard: int = 0) -> Locator:
    """Where the settings say that the master of `shard` is found."""
    read = _reader(secrets)
    if settings.redis_sentinels:
        addresses = list(settings.redis_servers)
        return _witnesses(
            settings,
            addresses,
            sentinel_question(settings.redis_sentinel_master),
            settings.redis_sentinel_user,
            Passwords(
                "redis_sentinel_pass",
                lambda: (read().redis_sentinel_pass, read().redis_sentinel_pass_next),
            ),
            over_tls=settings.redis_sentinels_over_tls,
        )
    if settings.redis_cluster_nodes:
        addresses = list(settings.redis_servers)
        question = cluster_question(shard_tag(settings, shard))
        passwords = _redis_passwords(read)
        return _witnesses(
            settings,
            addresses,
            question,
            settings.redis_user,
            passwords,
            over_tls=settings.redis_tls_enabled,
        )
    return Fixed(Address(settings.redis_address, settings.redis_port))


def tls_context(settings: Settings) -> ssl.SSLContext:
    """What connections to Redis and Sentinels are encrypted with, read from the files of now.

    With REDIS_CA_CERT_PATH only that authority is trusted. Raises OSError that names the file.
    """
    ca = settings.redis_ca_cert_path
    context = _named("REDIS_CA_CERT_PATH", ca, lambda: ssl.create_default_context(cafile=ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    cert, key = settings.redis_client_cert_path, settings.redis_client_key_path
    if cert is not None:
        _named("REDIS_CLIENT_CERT_PATH", cert, lambda: context.load_cert_chain(cert, key))
    return context


def _named(variable: str, path: Path | None, load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise OSError(f"{variable}={path}: {reason}") from error


def _witnesses(
    settings: Settings,
    addresses: list[Address],
    question: Question,
    user: str | None,
    passwords: Passwords,
    *,
    over_tls: bool,
) -> Witnesses:
    def connect(address: Address) -> BlockingTcp:
        route = Route(Fixed(address), passwords, lambda: tls_context(settings) if over_tls else None)
        secs = min(WITNESS_SECS, settings.redis_timeout)
        return BlockingTcp(
            route=route,
            username=user,
            socket_timeout=secs,
            socket_connect_timeout=secs,
            protocol=2,
            driver_info=None,
        )

    return Witnesses(addresses, question, connect)


def _redis_passwords(read: Callable[[], Secrets]) -> Passwords:
    return Passwords("redis_pass", lambda: (read().redis_pass, read().redis_pass_next))


def _reader(secrets: SecretsSource) -> Callable[[], Secrets]:
    return secrets if callable(secrets) else lambda: secrets


def _options(
    settings: Settings, secrets: SecretsSource, name: str, shard: int, *, waits: bool
) -> dict[str, Any]:
    locator = locator_of(settings, secrets, shard)
    over_tls = settings.redis_tls_enabled and not settings.redis_on_socket
    route = Route(
        locator,
        _redis_passwords(_reader(secrets)),
        lambda: tls_context(settings) if over_tls else None,
    )
    options: dict[str, Any] = {
        "route": route,
        "max_connections": settings.redis_max_connections,
        "timeout": settings.redis_timeout,
        "db": settings.redis_db,
        "username": settings.redis_user,
        "client_name": "mutt-" + name.replace(":", "-"),
        # redis-py knows one timeout for all commands, and a blocking pop is not late before its own.
        "socket_timeout": settings.redis_timeout + (settings.brpoplpush_timeout if waits else 0),
        "protocol": 2,
        # A claimed batch is some hundred kilobytes; the default of 64 would read it in many pieces.
        "socket_read_size": 1 << 20,
        "driver_info": None,
    }
    if settings.redis_on_socket:
        return options | {"path": settings.redis_address}
    connect_secs = (
        settings.redis_timeout if locator.fixed else min(settings.redis_timeout, LOCATED_CONNECT_SECS)
    )
    return options | {"socket_connect_timeout": connect_secs, "socket_keepalive": True}
