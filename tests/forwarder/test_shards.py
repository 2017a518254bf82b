"""A forwarder with several shards: each is emptied, none waits for another, the limit is for all together."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from mutt_appliance.config import Settings
from mutt_appliance.queueing import shards
from mutt_appliance.queueing.client import SecretsSource, async_client
from mutt_appliance.queueing.keys import KeySpace
from tests.conftest import MakeSettings
from tests.forwarder.conftest import RunForwarder, alert, eventually
from tests.support.moogsoft import Answer, Moogsoft
from tests.support.servers import RedisServer
from tests.support.windows import most_in_a_window

SHARDS = 3


def push(store: redis.Redis, settings: Settings, shard: int, *numbers: int) -> None:
    items = [json.dumps(alert(number)) for number in numbers]
    store.lpush(KeySpace(settings, shard).alert_queue, *items)


def left(store: redis.Redis) -> list[bytes]:
    """Keys of all queues, lists and retry sets that are not empty; Redis keeps no empty ones."""
    found: Any = (
        store.keys("*mutt:alert_queue"),
        store.keys("*mutt:processing:moog:*"),
        store.keys("*mutt:retry*"),
    )
    return [key for keys in found for key in keys if not key.endswith((b":workers", b":suspects"))]


def test_the_alerts_of_every_shard_are_delivered_and_retried(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        settings = settings_for(redis_shards=SHARDS)
        answers = iter([Answer(503)] * 10)
        moogsoft.answer = lambda _: next(answers, Answer(200))
        for shard in range(SHARDS):
            push(store, settings, shard, *range(100 * shard, 100 * shard + 20))
        async with forwarder(settings):
            await eventually(lambda: len(set(moogsoft.accepted_ids())) == 20 * SHARDS, "all arrive")
            await eventually(lambda: not left(store), "nothing is left")
            # While all are empty, the next one does not wait for a look around.
            push(store, settings, 2, 999)
            begun = time.monotonic()
            await eventually(lambda: "alert-999" in moogsoft.accepted_ids(), "one more")
            assert time.monotonic() - begun < 0.2
        assert store.keys("*mutt:heartbeat:moog:*") == []

    asyncio.run(scenario())


def test_the_rate_is_shared_fairly_between_shards(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        settings = settings_for(redis_shards=SHARDS, moog_rate_limit=12, moog_rate_period=0.5)
        for shard in range(SHARDS):
            push(store, settings, shard, *range(100 * shard, 100 * shard + (40 if shard == 0 else 16)))
        async with forwarder(settings):
            await eventually(lambda: len(moogsoft.accepted_ids()) >= 36, "three windows")
        first = [int(name.removeprefix("alert-")) // 100 for name in moogsoft.accepted_ids()[:36]]
        assert all(10 <= first.count(shard) <= 14 for shard in range(SHARDS)), first
        assert most_in_a_window([request.at for request in moogsoft.requests], 0.5) <= 12

    asyncio.run(scenario())


def test_a_limit_of_one_goes_round(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        # The limiter is asked twice for each grant; whose turn it is must not depend on that.
        settings = settings_for(redis_shards=2, moog_rate_limit=1, moog_rate_period=0.05)
        for shard in range(2):
            push(store, settings, shard, *range(100 * shard, 100 * shard + 20))
        async with forwarder(settings):
            await eventually(lambda: len(moogsoft.requests) >= 24, "some arrive")
        sent = [name for request in moogsoft.requests for name in request.alert_ids]
        # Not from the beginning: one of the two may have had the first places to itself.
        turns = [int(name.removeprefix("alert-")) // 100 for name in sent[4:24]]
        assert 8 <= turns.count(0) <= 12, turns

    asyncio.run(scenario())


def test_what_is_left_in_a_shard_beyond_the_configuration_is_delivered(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        before, now = settings_for(redis_shards=SHARDS), settings_for()
        store.zadd(KeySpace(now).shards, {"0": 1, "2": 1})
        push(store, before, 2, 1, 2, 3)
        async with forwarder(now):
            await eventually(lambda: len(set(moogsoft.accepted_ids())) == 3, "all arrive")
            await eventually(lambda: not left(store), "nothing is left")

    asyncio.run(scenario())


@pytest.fixture
def other_redis(monkeypatch: pytest.MonkeyPatch, make_settings: MakeSettings) -> Iterator[RedisServer]:
    """A Redis of its own for shard 1, as in a Cluster."""
    server = RedisServer()
    server.start()
    there = make_settings(redis_host=server.address, redis_timeout=1, brpoplpush_timeout=1)

    def client(
        settings: Settings, secrets: SecretsSource, name: str, shard: int = 0, *, waits: bool = False
    ) -> redis.asyncio.Redis:
        return async_client(there if shard == 1 else settings, secrets, name, shard, waits=waits)

    monkeypatch.setattr(shards, "async_client", client)
    yield server
    server.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_shard_whose_redis_does_not_answer_keeps_no_other_waiting(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    other_redis: RedisServer,
    how: str,
) -> None:
    async def scenario() -> None:
        settings = settings_for(redis_shards=SHARDS, redis_timeout=1, brpoplpush_timeout=1)
        async with forwarder(settings) as running:
            await eventually(lambda: running.health("redis-1")[0], "it serves it")
            (other_redis.kill if how == "killed" else other_redis.pause)()
            await eventually(lambda: not running.health("redis-1")[0], "health tells")
            assert running.health("redis")[0]
            for number in range(10):
                begun = time.monotonic()
                push(store, settings, 2 * (number % 2), number)
                await eventually(lambda n=number: f"alert-{n}" in moogsoft.accepted_ids(), "it arrives")  # type: ignore[misc]
                assert time.monotonic() - begun < 0.5
            other_redis.start() if how == "killed" else other_redis.resume()
            with other_redis.client() as there:
                push(there, settings, 1, 77)
            await eventually(lambda: "alert-77" in moogsoft.accepted_ids(), "it is served again")

    asyncio.run(scenario())
