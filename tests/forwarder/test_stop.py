"""SIGTERM: what is under way is finished, the rest goes back."""

from __future__ import annotations

import asyncio
import json
import time

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
from tests.support.moogsoft import HANG, Answer, Moogsoft


def test_stop_waits_for_requests_under_way_and_gives_back_the_rest_in_order(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(200, delay_secs=0.5)
        push(store, *(alert(n) for n in range(6)))
        # Two may be sent in a long time: the others are claimed and wait.
        async with forwarder(settings_for(moog_rate_limit=2, moog_rate_period=60)) as running:
            await eventually(lambda: len(moogsoft.requests) == 2, "two are under way")
            await eventually(lambda: places(store)["held"] == 6, "all are claimed")
            await running.stop()
        assert sorted(moogsoft.accepted_ids()) == ["alert-0", "alert-1"]
        assert places(store) == {**NOWHERE, "queue": 4}
        left = [json.loads(item)["alert_id"] for item in reversed(store.lrange(ALERT_QUEUE, 0, -1))]
        assert left == ["alert-2", "alert-3", "alert-4", "alert-5"]
        assert not store.keys("mutt:heartbeat:moog:*")

    asyncio.run(scenario())


def test_stop_gives_up_a_request_that_outlasts_the_drain_time(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: HANG
        push(store, alert(0))
        async with forwarder(settings_for(moog_webhook_timeout=60, drain_timeout=1)) as running:
            await eventually(lambda: moogsoft.requests, "it is under way")
            started = time.monotonic()
            await running.stop()
            assert time.monotonic() - started < 1.0
        assert places(store) == {**NOWHERE, "queue": 1}

    asyncio.run(scenario())


def test_an_idle_forwarder_stops_at_once(
    settings_for: MakeSettings, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        async with forwarder(settings_for()) as running:
            await eventually(lambda: store.keys("mutt:heartbeat:moog:*"), "it has registered")
            started = time.monotonic()
            await running.stop()
            assert time.monotonic() - started < 0.5

    asyncio.run(scenario())
