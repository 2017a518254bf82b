"""The sliding-window rate limit that all forwarders of all appliances share."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import redis.asyncio

from mutt_appliance.queueing.scripts import script_source


@dataclass(frozen=True)
class Grant:
    """How many requests may be made now, and after how many ms to ask for the rest."""

    granted: int
    wait_ms: int


class RateLimiter:
    """At most `limit` requests in any `period_ms`, counted in Redis by Redis' own clock."""

    def __init__(self, client: redis.asyncio.Redis, key: str, limit: int, period_ms: int) -> None:
        self._key = key
        self._limit = limit
        self._period_ms = period_ms
        self._take = client.register_script(script_source("take_tokens"))

    def allow(self, limit: int, period_ms: int) -> None:
        """From the next request on this limit holds."""
        self._limit, self._period_ms = limit, period_ms

    async def take(self, wanted: int) -> Grant:
        """Ask for `wanted` requests. May raise redis.RedisError, and then none is granted."""
        args: list[str | int] = [self._limit, self._period_ms, wanted, uuid.uuid4().hex]
        granted, wait_ms = await self._take(keys=[self._key], args=args)
        return Grant(int(granted), int(wait_ms))
