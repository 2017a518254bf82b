"""The shared rate limit, on a real Redis and its clock."""

from __future__ import annotations

import asyncio
import time

import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import async_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.limiter import RateLimiter
from mutt_appliance.secrets import Secrets


def test_what_is_over_the_limit_is_told_when_to_come_again(settings: Settings, keys: KeySpace) -> None:
    async def main() -> None:
        client = async_client(settings, Secrets(), "test")
        limiter = RateLimiter(client, keys.rate_limit, 5, 60_000)
        first, second, third = await limiter.take(3), await limiter.take(3), await limiter.take(1)
        assert (first.granted, first.wait_ms) == (3, 0)
        assert second.granted == 2
        assert third.granted == 0
        assert 59_000 < third.wait_ms <= 60_000
        await client.aclose()

    asyncio.run(main())


def test_no_window_has_more_than_the_limit_with_several_askers(
    settings: Settings, client: redis.Redis, keys: KeySpace
) -> None:
    limit, period_ms = 20, 200
    granted: list[float] = []

    async def ask(until: float) -> None:
        own = async_client(settings, Secrets(), "test")
        limiter = RateLimiter(own, keys.rate_limit, limit, period_ms)
        while time.monotonic() < until:
            grant = await limiter.take(3)
            granted.extend([time.monotonic()] * grant.granted)
            await asyncio.sleep(grant.wait_ms / 1000)
        await own.aclose()

    async def main() -> None:
        until = time.monotonic() + 1.2
        await asyncio.gather(*(ask(until) for _ in range(4)))

    asyncio.run(main())
    # Redis keeps the times it granted at; those of the last window are still there to be counted.
    assert int(client.zcard(keys.rate_limit)) <= limit
    windows = 1.2 / (period_ms / 1000)
    assert limit * (windows - 2) <= len(granted) <= limit * (windows + 1)


def test_the_window_leaves_redis_when_nobody_asks(
    settings: Settings, client: redis.Redis, keys: KeySpace
) -> None:
    async def main() -> None:
        own = async_client(settings, Secrets(), "test")
        await RateLimiter(own, keys.rate_limit, 5, 1000).take(1)
        await own.aclose()

    asyncio.run(main())
    assert 0 < int(client.pttl(keys.rate_limit)) <= 2000
