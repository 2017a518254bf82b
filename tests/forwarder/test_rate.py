"""The rate limit where it counts: at the receiver, however long the way there is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import redis

from tests.conftest import MakeSettings
from tests.forwarder.conftest import RunForwarder, alert, eventually, push
from tests.support.children import TEST_SECRETS
from tests.support.moogsoft import Answer, Moogsoft
from tests.support.windows import most_in_a_window

WINDOW = "mutt:rate_limit:moog"
MAX_DELAY_SECS = 0.3


@asynccontextmanager
async def slow_road(moogsoft: Moogsoft, chance: random.Random) -> AsyncIterator[str]:
    """A URL that leads to the stand-in, on which each way takes a time of its own, up to MAX_DELAY_SECS."""

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await asyncio.sleep(chance.uniform(0, MAX_DELAY_SECS))
                target.write(data)
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", moogsoft.port)
        await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/moog"


def arrivals(moogsoft: Moogsoft) -> list[float]:
    """When requests arrived (monotonic seconds), in order."""
    return sorted(request.at for request in moogsoft.requests)


def under_way(store: redis.Redis) -> int:
    """How many tokens are out whose request has not ended, as far as Redis knows."""
    secs, us = store.time()
    return int(store.zcount(WINDOW, f"({secs * 1_000_000 + us}", "+inf"))


def test_no_window_has_more_than_the_limit_whatever_the_way_of_each_request_takes(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    limit, period_secs, count = 20, 0.5, 120

    async def scenario() -> None:
        async with slow_road(moogsoft, random.Random(3)) as url:
            settings = settings_for(moog_webhook_url=url, moog_rate_limit=limit, moog_rate_period=period_secs)
            push(store, *(alert(n) for n in range(count)))
            async with forwarder(settings, index=0), forwarder(settings, index=1):
                await eventually(lambda: len(moogsoft.accepted_ids()) == count, "all arrive", 20)
        assert len(set(moogsoft.accepted_ids())) == count

    asyncio.run(scenario())
    assert most_in_a_window(arrivals(moogsoft), period_secs) <= limit


def test_a_quick_receiver_gets_nearly_as_much_as_the_limit_allows(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    limit, period_secs, count = 50, 1.0, 300

    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(200, delay_secs=0.01)
        settings = settings_for(moog_rate_limit=limit, moog_rate_period=period_secs)
        push(store, *(alert(n) for n in range(count)))
        async with forwarder(settings, index=0), forwarder(settings, index=1):
            await eventually(lambda: len(moogsoft.accepted_ids()) == count, "all arrive", 30)

    asyncio.run(scenario())
    times = arrivals(moogsoft)
    most = most_in_a_window(times, period_secs)
    # The last of a window's requests is followed by the first of the next one: count from window to window.
    rate = (count - limit) / (times[count - limit] - times[0]) * period_secs
    print(f"\nachieved {rate:.1f} of {limit} in {period_secs:g} s ({rate / limit:.1%}), at most {most}")
    assert most <= limit
    assert rate > 0.8 * limit


def test_ends_are_told_when_there_is_nothing_more_to_send_and_at_the_stop(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        settings = settings_for(moog_rate_limit=5, moog_rate_period=60)
        push(store, alert(0), alert(1))
        async with forwarder(settings) as running:
            await eventually(lambda: len(moogsoft.accepted_ids()) == 2, "both arrive")
            await eventually(lambda: under_way(store) == 0, "their ends are told", 2)
            moogsoft.answer = lambda _: Answer(200, delay_secs=0.3)
            push(store, alert(2))
            await eventually(lambda: under_way(store) == 1, "one more")
            await running.stop()
        assert (store.zcard(WINDOW), under_way(store)) == (3, 0)

    asyncio.run(scenario())


def test_requests_that_fail_or_are_given_up_have_ended_too(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(0, delay_secs=60)
        slow = {"moog_retry_base_delay": 60, "moog_retry_max_delay": 60}
        settings = settings_for(moog_rate_period=60, moog_webhook_timeout=0.5, **slow)
        push(store, alert(0))
        async with forwarder(settings):
            await eventually(lambda: store.zcard(WINDOW) == 1 and not under_way(store), "it timed out")
        push(store, alert(1))
        async with forwarder(settings_for(moog_rate_period=60, drain_timeout=0.5)):
            await eventually(lambda: len(moogsoft.requests) == 2, "one more is under way")
        assert (store.zcard(WINDOW), under_way(store)) == (2, 0)

    asyncio.run(scenario())


def test_requests_of_a_killed_forwarder_count_until_they_must_have_ended(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    limit, period_secs, timeout_secs = 4, 0.5, 0.5

    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(0, delay_secs=60)
        settings = settings_for(
            moog_rate_limit=limit, moog_rate_period=period_secs, moog_webhook_timeout=timeout_secs
        )
        push(store, *(alert(n) for n in range(limit)))
        async with forwarder(settings, index=0) as first:
            await eventually(lambda: len(moogsoft.requests) == limit, "as many as may be are under way")
            await first.kill()
        moogsoft.answer = lambda _: Answer(200)
        async with forwarder(settings, index=1):
            await eventually(lambda: len(set(moogsoft.accepted_ids())) == limit, "the other sends them", 30)

    asyncio.run(scenario())
    times = arrivals(moogsoft)
    # The time-out, 5 s for a process that is late, and the period.
    assert times[limit] - times[limit - 1] > timeout_secs + 5


def test_grants_for_alerts_that_were_lost_meanwhile_are_handed_back(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        # As if every answer of the limiter came when what it was for is no longer there.
        monkeypatch.setattr(
            "mutt_appliance.forwarder.service.share_out", lambda wishes, *_: [0] * len(wishes)
        )
        push(store, *(alert(n) for n in range(3)))
        async with forwarder(settings_for(moog_rate_limit=10, moog_rate_period=60)):
            await eventually(lambda: store.zcard(WINDOW) == 3, "they are granted")
            monkeypatch.undo()
            await eventually(lambda: len(moogsoft.accepted_ids()) == 3, "they arrive")
            await eventually(lambda: store.zcard(WINDOW) == 3, "the grants that were not used are gone")

    asyncio.run(scenario())


def test_the_second_key_takes_a_place_of_its_own(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.api_key = "next-key"
        both = replace(TEST_SECRETS, moog_api_key_next=moogsoft.api_key)
        push(store, alert(0))
        async with forwarder(settings_for(moog_rate_limit=3, moog_rate_period=60), secrets=both):
            await eventually(lambda: moogsoft.accepted_ids() == ["alert-0"], "it arrives with the other key")
            await eventually(lambda: not under_way(store), "both ends are told")
            assert store.zcard(WINDOW) == len(moogsoft.requests) == 2
            # One place is left. The key that was taken goes first now.
            push(store, alert(1), alert(2))
            await eventually(lambda: len(moogsoft.requests) == 3, "one more arrives")
            await eventually(
                lambda: store.zcard(WINDOW) == 3 and not under_way(store), "the limit is reached"
            )
        assert [request.answer.status for request in moogsoft.requests] == [401, 200, 200]

    asyncio.run(scenario())
