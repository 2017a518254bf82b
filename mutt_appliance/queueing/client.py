"""Redis clients, blocking and asyncio, made in one way.

They never repeat a command by themselves: a script whose answer was lost may have run, and only the
caller knows what is safe to do then.
"""

from __future__ import annotations

import ssl
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets

__all__ = [
    "NoScriptError",
    "RedisConnectionError",
    "RedisError",
    "ResponseError",
    "async_client",
    "blocking_client",
]


def blocking_client(settings: Settings, secrets: Secrets, name: str, shard: int = 0) -> redis.Redis:
    """Client for a role without an event loop; `name` is shown by CLIENT LIST."""
    pool_class = redis.BlockingConnectionPool
    kind: Any = redis.Connection
    if settings.redis_address.startswith("/"):
        kind = redis.UnixDomainSocketConnection
    elif settings.redis_tls_enabled:
        kind = redis.SSLConnection
    options = _options(settings, secrets, name)
    return redis.Redis(
        connection_pool=pool_class(connection_class=kind, retry=Retry(NoBackoff(), 0), **options)  # type: ignore[no-untyped-call]
    )


def async_client(settings: Settings, secrets: Secrets, name: str, shard: int = 0) -> redis.asyncio.Redis:
    """Client for a role with an event loop."""
    kind: Any = _AsyncTcp
    if settings.redis_address.startswith("/"):
        kind = _AsyncUnix
    elif settings.redis_tls_enabled:
        kind = _AsyncTls
    options = _options(settings, secrets, name)
    pool = redis.asyncio.BlockingConnectionPool(
        connection_class=kind, retry=AsyncRetry(NoBackoff(), 0), **options
    )
    return redis.asyncio.Redis(connection_pool=pool)


class _PackedInC:
    """Writes commands with hiredis, as the blocking client does: a batch of 1,000 takes a third of the time."""

    _packer = HiredisRespSerializer()

    def pack_command(self, *args: Any) -> list[bytes]:
        """One command in the Redis protocol."""
        packed: list[bytes] = self._packer.pack(*args)
        return packed


class _AsyncTcp(_PackedInC, redis.asyncio.Connection): ...


class _AsyncTls(_PackedInC, redis.asyncio.SSLConnection): ...


class _AsyncUnix(_PackedInC, redis.asyncio.UnixDomainSocketConnection): ...


def _options(settings: Settings, secrets: Secrets, name: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "max_connections": settings.redis_max_connections,
        "timeout": settings.redis_timeout,
        "db": settings.redis_db,
        "username": settings.redis_user,
        "password": secrets.redis_pass or None,
        "client_name": "mutt-" + name.replace(":", "-"),
        # A blocking pop waits up to its own timeout before the answer is late.
        "socket_timeout": settings.redis_timeout + settings.brpoplpush_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        "protocol": 2,
        # A claimed batch is some hundred kilobytes; the default of 64 would read it in many pieces.
        "socket_read_size": 1 << 20,
        "driver_info": None,
    }
    if settings.redis_address.startswith("/"):
        options["path"] = settings.redis_address
        del options["socket_connect_timeout"]
        return options
    options |= {"host": settings.redis_address, "port": settings.redis_port, "socket_keepalive": True}
    if settings.redis_tls_enabled:
        options |= {
            "ssl_ca_certs": str(settings.redis_ca_cert_path) if settings.redis_ca_cert_path else None,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        }
    return options
