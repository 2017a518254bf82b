"""Crashes, lost leases, a Redis that goes away: every alert arrives all the same."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.conftest import MakeSettings
from tests.forwarder.conftest import (
    ALERT_QUEUE,
    NOWHERE,
    RunForwarder,
    alert,
    eventually,
    places,
    push,
)
from tests.support.moogsoft import OK, Answer, Moogsoft
from tests.support.servers import RedisServer

HEARTBEAT_0 = "mutt:heartbeat:moog:forwarder-test-0"
PROCESSING_0 = "mutt:processing:moog:forwarder-test-0"


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of this test that writes every command to disk before it answers."""
    server = RedisServer(appendfsync="always")
    server.start()
    yield server
    server.close()


def more_than(moogsoft: Moogsoft, count: int) -> bool:
    return len(set(moogsoft.accepted_ids())) > count


def held_by_first(store: redis.Redis) -> list[bytes]:
    items: Any = store.lrange(PROCESSING_0, 0, -1)
    return list(items)


def ids(count: int) -> list[str]:
    return sorted(f"alert-{n}" for n in range(count))


def test_what_a_killed_forwarder_held_is_delivered_by_another(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(200, delay_secs=30)
        push(store, *(alert(n) for n in range(30)))
        settings = settings_for(moog_max_concurrency=20, moog_webhook_timeout=60)
        async with forwarder(settings, index=0) as first:
            await eventually(lambda: len(moogsoft.requests) == 20, "requests are under way")
            await first.kill()
            assert places(store)["held"] == 20
            moogsoft.answer = lambda _: OK
            async with forwarder(settings, index=1):
                await eventually(lambda: set(moogsoft.accepted_ids()) >= set(ids(30)), "all arrive")
                await eventually(lambda: places(store) == NOWHERE, "nothing is left")

    asyncio.run(scenario())


def test_a_new_forwarder_of_the_same_name_takes_over_at_once(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(200, delay_secs=30)
        push(store, *(alert(n) for n in range(5)))
        settings = settings_for(moog_janitor_timeout=600, moog_webhook_timeout=60)
        async with forwarder(settings) as first:
            await eventually(lambda: len(moogsoft.requests) == 5, "requests are under way")
            await first.kill()
        moogsoft.answer = lambda _: OK
        async with forwarder(settings):
            await eventually(lambda: set(moogsoft.accepted_ids()) >= set(ids(5)), "all arrive", 5)

    asyncio.run(scenario())


def test_a_forwarder_that_lost_its_lease_forgets_what_it_had_not_sent_and_registers_anew(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        push(store, *(alert(n) for n in range(20)))
        settings = settings_for(moog_rate_limit=5, moog_rate_period=1.5, moog_janitor_timeout=30)
        async with forwarder(settings):
            await eventually(lambda: places(store)["held"] == 15, "some are sent and settled")
            token = store.get(HEARTBEAT_0)
            # What a janitor does after a long sleep: the list goes back, the lease is gone.
            with store.pipeline() as pipe:
                pipe.delete(HEARTBEAT_0)
                for item in held_by_first(store):
                    pipe.rpush(ALERT_QUEUE, item)
                pipe.delete(PROCESSING_0)
                pipe.execute()
            await eventually(lambda: (store.get(HEARTBEAT_0) or token) != token, "it registers anew")
            await eventually(lambda: sorted(moogsoft.accepted_ids()) == ids(20), "each arrives once")
            await eventually(lambda: places(store) == NOWHERE, "nothing is left")

    asyncio.run(scenario())


def test_results_of_a_lost_lease_are_not_sent_again_by_the_same_process(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(200, delay_secs=1.0)
        push(store, *(alert(n) for n in range(5)))
        async with forwarder(settings_for(moog_webhook_timeout=10)):
            await eventually(lambda: len(moogsoft.requests) == 5, "requests are under way")
            store.delete(HEARTBEAT_0)
            await eventually(lambda: store.get(HEARTBEAT_0), "it registers anew; its list went to the queue")
            await eventually(lambda: places(store) == NOWHERE, "everything is settled")
        assert sorted(moogsoft.accepted_ids()) == ids(5)

    asyncio.run(scenario())


def test_a_name_in_use_elsewhere_is_said_by_health_and_waited_for(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        settings = settings_for()
        store.set(HEARTBEAT_0, "another-run:token")
        push(store, alert(0))
        async with forwarder(settings) as running:
            await eventually(lambda: "POD_NAME" in running.health("lease")[1], "health says so")
            assert not running.health("lease")[0]
            assert moogsoft.requests == []
            store.delete(HEARTBEAT_0)
            await eventually(lambda: moogsoft.accepted_ids() == ["alert-0"], "it goes on")
            await eventually(lambda: running.health("lease")[0], "health is good")

    asyncio.run(scenario())


def test_an_alert_on_the_list_that_was_never_heard_of_is_adopted(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        async with forwarder(settings_for(brpoplpush_timeout=0.3)):
            await eventually(lambda: store.get(HEARTBEAT_0), "it has registered")
            push(store, alert(0))
            await eventually(lambda: moogsoft.accepted_ids() == ["alert-0"], "it works")
            # As if a claim was executed and its answer lost.
            store.lpush(PROCESSING_0, b'{"alert_id":"lost answer"}')
            await eventually(lambda: "lost answer" in moogsoft.accepted_ids(), "it is found")
            await eventually(lambda: places(store) == NOWHERE, "and settled")

    asyncio.run(scenario())


def test_connections_cut_all_the_time_lose_nothing(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(200, delay_secs=0.01)
        push(store, *(alert(n) for n in range(400)))
        cuts = 0
        async with forwarder(settings_for(moog_max_concurrency=10, brpoplpush_timeout=0.5)):
            while len(set(moogsoft.accepted_ids())) < 400:
                for client in store.client_list():
                    if client["name"].startswith("mutt-forwarder"):
                        store.client_kill_filter(_id=client["id"])
                        cuts += 1
                await asyncio.sleep(0.05)
                assert cuts < 3000
            await eventually(lambda: places(store) == NOWHERE, "nothing is left")
        assert cuts > 3
        # A result whose settlement failed is settled again, not sent again.
        assert sorted(moogsoft.accepted_ids()) == ids(400)

    asyncio.run(scenario())


def test_a_redis_killed_and_restarted_on_the_way_loses_no_alert(
    settings_for: MakeSettings, own_redis: RedisServer, moogsoft: Moogsoft, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda request: Answer(503) if len(moogsoft.requests) % 7 == 3 else OK
        settings = settings_for(redis_host=own_redis.address, moog_rate_limit=100, moog_max_retries=100)
        with own_redis.client() as client:
            push(client, *(alert(n) for n in range(300)))
        async with forwarder(settings) as running:
            for at in (60, 150):
                await eventually(functools.partial(more_than, moogsoft, at), "some arrive")
                await asyncio.to_thread(own_redis.kill)
                await eventually(lambda: not running.health("redis")[0], "health says that Redis is away")
                await asyncio.to_thread(own_redis.start)
            await eventually(lambda: set(moogsoft.accepted_ids()) == set(ids(300)), "all arrive", 30)
            with own_redis.client() as client:
                await eventually(lambda: places(client) == NOWHERE, "nothing is left")
            await eventually(lambda: running.health("redis")[0], "health is good")

    asyncio.run(scenario())


def test_a_frozen_redis_is_survived(
    settings_for: MakeSettings, own_redis: RedisServer, moogsoft: Moogsoft, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        settings = settings_for(
            redis_host=own_redis.address, redis_timeout=0.5, brpoplpush_timeout=0.5, moog_rate_limit=50
        )
        with own_redis.client() as client:
            push(client, *(alert(n) for n in range(150)))
        async with forwarder(settings) as running:
            await eventually(lambda: len(moogsoft.accepted_ids()) > 20, "some arrive")
            own_redis.pause()
            await eventually(lambda: not running.health("redis")[0], "health says that Redis is away")
            own_redis.resume()
            await eventually(lambda: set(moogsoft.accepted_ids()) == set(ids(150)), "all arrive", 30)
            with own_redis.client() as client:
                await eventually(lambda: places(client) == NOWHERE, "nothing is left")

    asyncio.run(scenario())


def test_both_forwarders_take_part(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(200, delay_secs=0.2)
        push(store, *(alert(n) for n in range(60)))
        settings = settings_for(moog_max_concurrency=5)
        async with forwarder(settings, index=0), forwarder(settings, index=1):
            await eventually(lambda: len(moogsoft.requests) == 10, "five requests of each", 2)
            await eventually(lambda: len(moogsoft.accepted_ids()) == 60, "all arrive")

    asyncio.run(scenario())
