"""Arrays of events to Moogsoft Cloud, and what happens when one is refused."""

from __future__ import annotations

import asyncio
from collections import Counter

import redis

from tests.conftest import MakeSettings
from tests.forwarder.conftest import (
    NOWHERE,
    RunForwarder,
    alert,
    dead_letters,
    eventually,
    failing_first,
    places,
    push,
)
from tests.support.moogsoft import OK, Answer, Moogsoft, Received


def test_the_cloud_format_sends_arrays_up_to_the_batch_size(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.api_header = "apiKey"
        push(store, *(alert(n) for n in range(95)))
        settings = settings_for(moog_format="cloud", moog_cloud_batch_size=20, moog_max_concurrency=2)
        async with forwarder(settings):
            await eventually(lambda: len(moogsoft.accepted_ids()) == 95, "all arrive")
        assert sorted(len(r.events) for r in moogsoft.requests) == [15, 20, 20, 20, 20]
        assert Counter(moogsoft.accepted_ids()).most_common(1)[0][1] == 1

    asyncio.run(scenario())


def test_a_refused_batch_is_sent_one_by_one_so_that_only_the_bad_one_dies(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    def refuse_the_bad(request: Received) -> Answer:
        return Answer(400) if "alert-3" in request.alert_ids else OK

    async def scenario() -> None:
        moogsoft.api_header = "apiKey"
        moogsoft.answer = refuse_the_bad
        push(store, *(alert(n) for n in range(10)))
        async with forwarder(settings_for(moog_format="cloud", moog_max_concurrency=1)):
            await eventually(lambda: len(moogsoft.accepted_ids()) == 9, "the others arrive")
            await eventually(lambda: places(store) == {**NOWHERE, "dead": 1}, "the bad one is put aside")
        letter = dead_letters(store)[0]
        assert (letter["payload"]["alert_id"], letter["reason"], letter["attempts"]) == (
            "alert-3",
            "http_400",
            1,
        )
        assert [len(r.events) for r in moogsoft.requests] == [10] + [1] * 10

    asyncio.run(scenario())


def test_a_batch_that_fails_for_now_is_retried_as_its_alerts(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.api_header = "apiKey"
        failing_first(moogsoft, "alert-0", Answer(503))
        push(store, *(alert(n) for n in range(10)))
        async with forwarder(settings_for(moog_format="cloud")):
            await eventually(lambda: len(moogsoft.accepted_ids()) == 10, "all arrive")
            await eventually(lambda: places(store) == NOWHERE, "nothing is left")

    asyncio.run(scenario())
