"""Requests by outcome in windows, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis
import redis.asyncio

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import RedisError, async_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.outcomes import LONG, SHORT, OutcomeCounter, Outcomes, read_outcomes
from mutt_appliance.queueing.scripts import text
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings
from tests.support.servers import RedisServer

T = TypeVar("T")
# The begin of an hour, and so of a short window.
HOUR = 1_800_000_000 // 3600 * 3600


def on_redis(settings: Settings, work: Callable[[redis.asyncio.Redis], Awaitable[T]]) -> T:
    """What `work` gives with a client."""

    async def main() -> T:
        client = async_client(settings, Secrets(), "test")
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


class Clock:
    """A clock that a test sets."""

    now = float(HOUR)

    def __call__(self) -> float:
        return self.now


def test_processes_add_up_and_each_window_has_what_was_in_it(settings: Settings, keys: KeySpace) -> None:
    clock = Clock()

    async def work(client: redis.asyncio.Redis) -> list[Outcomes]:
        counters = [OutcomeCounter(client, keys, "ingestor", clock) for _ in range(2)]
        for minutes, success, fail in ((0, 10, 0), (40, 5, 1), (59, 3, 2)):
            clock.now = HOUR + minutes * 60
            for counter in counters:
                counter.count("success", success)
                counter.count("fail", fail)
        for counter in counters:
            await counter.write()
        found = await read_outcomes(client, keys, (300, 1800, 86400), HOUR + 59 * 60)
        assert found["forwarder"][300] == Outcomes()
        return list(found["ingestor"].values())

    last, half, day = on_redis(settings, work)
    assert (last, half, day) == (Outcomes(6, 4), Outcomes(16, 6), Outcomes(36, 6))
    assert last.availability == 0.6
    assert Outcomes().availability is None


def test_a_late_write_goes_to_the_window_in_which_the_requests_ended(
    settings: Settings, keys: KeySpace
) -> None:
    clock = Clock()

    async def work(client: redis.asyncio.Redis) -> tuple[Outcomes, Outcomes]:
        counter = OutcomeCounter(client, keys, "forwarder", clock)
        counter.count("fail", 7)
        clock.now += 4 * 3600
        await counter.write()
        now = (await read_outcomes(client, keys, [300], clock.now))["forwarder"][300]
        then = (await read_outcomes(client, keys, [300], float(HOUR)))["forwarder"][300]
        return now, then

    assert on_redis(settings, work) == (Outcomes(), Outcomes(0, 7))


def test_every_counter_ends_by_itself(settings: Settings, keys: KeySpace, client: redis.Redis) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        counter = OutcomeCounter(client, keys, "ingestor")
        counter.count("success")
        counter.count("fail")
        await counter.write()

    on_redis(settings, work)
    lives = {text(key): client.ttl(key) for key in client.keys("mutt:slo:*")}
    assert len(lives) == 4
    for key, seconds in lives.items():
        window = SHORT if ":5m:" in key else LONG
        assert window.keep_secs - 60 < seconds <= window.keep_secs


def test_a_frozen_redis_counts_no_attempt_but_one_twice(make_settings: MakeSettings, keys: KeySpace) -> None:
    server = RedisServer()
    server.start()
    settings = make_settings(redis_host=server.address, redis_timeout=0.2, brpoplpush_timeout=0.1)

    async def work(client: redis.asyncio.Redis) -> Outcomes:
        counter = OutcomeCounter(client, keys, "ingestor", Clock())
        server.pause()
        for _ in range(5):
            counter.count("fail")
            await counter.write()
        server.resume()
        while not await answers(client):
            await asyncio.sleep(0.05)
        await counter.write()
        return (await read_outcomes(client, keys, [300], float(HOUR)))["ingestor"][300]

    try:
        # The five, and the one of the first attempt, which Redis takes as it wakes up.
        assert on_redis(settings, work).fail in (5, 6)
    finally:
        server.close()


async def answers(client: redis.asyncio.Redis) -> bool:
    try:
        return bool(await client.ping())
    except RedisError:
        return False


def test_what_could_not_be_written_is_written_the_next_time(settings: Settings, keys: KeySpace) -> None:
    server = RedisServer()

    async def work(client: redis.asyncio.Redis) -> Outcomes:
        counter = OutcomeCounter(client, keys, "ingestor", Clock())
        counter.count("success", 3)
        await counter.write()
        counter.count("success", 4)
        server.start()
        await counter.write()
        await counter.write()
        return (await read_outcomes(client, keys, [300], float(HOUR)))["ingestor"][300]

    try:
        assert on_redis(settings.model_copy(update={"redis_host": server.address}), work) == Outcomes(7, 0)
    finally:
        server.close()
