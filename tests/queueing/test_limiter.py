"""The shared rate limit, on a real Redis: by its own clock, and by one that the test turns."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mutt_appliance.config import Settings
from mutt_appliance.queueing import limiter as limiter_module
from mutt_appliance.queueing.client import async_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.limiter import BEGIN_WITHIN_SECS, LATE_SECS, RateLimiter
from mutt_appliance.queueing.scripts import script_source
from mutt_appliance.secrets import Secrets
from tests.support.windows import most_in_a_window

REQUEST_MS = 400
LONGEST_MS = REQUEST_MS + round(1000 * (BEGIN_WITHIN_SECS + LATE_SECS))
PERIOD_MS = 100
LIMIT = 3
BEGUN_US = 1_700_000_000_000_000
CLOCK = "test:clock"
CLOCK_OF_THE_TEST = Path(__file__).with_name("clock_of_the_test.lua")


def run(settings: Settings, work: Callable[[redis.asyncio.Redis], Awaitable[None]]) -> None:
    """`work` with a client of its own."""

    async def main() -> None:
        client = async_client(settings, Secrets(), "test")
        try:
            await work(client)
        finally:
            await client.aclose()

    asyncio.run(main())


@pytest.fixture
def own_clock(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Limiters go by a clock that stands still until it is called with the µs it goes on."""
    text = CLOCK_OF_THE_TEST.read_text(encoding="utf-8")
    monkeypatch.setattr(limiter_module, "script_source", lambda name: text + script_source(name))
    client.set(CLOCK, BEGUN_US)
    return lambda us: client.incrby(CLOCK, us)  # type: ignore[return-value]


def test_what_is_over_the_limit_is_told_when_to_come_again(settings: Settings, keys: KeySpace) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(client, keys.rate_limit, 5, 60_000, REQUEST_MS)
        first, second, third = await limiter.take(3), await limiter.take(3), await limiter.take(1)
        assert (len(first.tokens), first.wait_ms) == (3, 0)
        assert len(second.tokens) == 2
        assert third.tokens == []
        assert 59_000 < third.wait_ms <= 60_001
        assert len({*first.tokens, *second.tokens}) == 5

    run(settings, work)


def test_a_request_counts_until_a_period_after_its_end_however_long_it_takes(
    settings: Settings, keys: KeySpace, own_clock: Callable[[int], None]
) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(client, keys.rate_limit, 1, PERIOD_MS, REQUEST_MS)
        (token,) = (await limiter.take(1)).tokens
        own_clock(3 * PERIOD_MS * 1000)
        # Under way: nobody knows how much longer, but not less than a period.
        assert (await limiter.take(1)).wait_ms == PERIOD_MS + 1
        limiter.end(token)
        assert (await limiter.take(1)).wait_ms == PERIOD_MS + 1
        assert not limiter.untold
        own_clock(PERIOD_MS * 1000)
        assert (await limiter.take(1)).wait_ms == 1
        own_clock(1)
        assert len((await limiter.take(1)).tokens) == 1

    run(settings, work)


def test_an_end_that_is_told_again_changes_nothing(
    settings: Settings, keys: KeySpace, own_clock: Callable[[int], None]
) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(client, keys.rate_limit, 1, PERIOD_MS, REQUEST_MS)
        (token,) = (await limiter.take(1)).tokens
        for _ in range(3):
            limiter.end(token)
            await limiter.take(0)
            own_clock(PERIOD_MS * 1000 // 2)
        assert len((await limiter.take(1)).tokens) == 1
        limiter.end(token)
        await limiter.take(0)
        assert await client.zcard(keys.rate_limit) == 1

    run(settings, work)


def test_what_was_handed_back_leaves_room_at_once(settings: Settings, keys: KeySpace) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(client, keys.rate_limit, 5, 60_000, REQUEST_MS)
        grant = await limiter.take(5)
        limiter.hand_back(grant.tokens[:2])
        assert limiter.untold
        assert len((await limiter.take(5)).tokens) == 2
        assert not limiter.untold

    run(settings, work)


def test_a_forwarder_that_died_is_counted_until_its_requests_must_have_ended(
    settings: Settings, keys: KeySpace, own_clock: Callable[[int], None]
) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        dead, alive = (RateLimiter(client, keys.rate_limit, 2, PERIOD_MS, REQUEST_MS) for _ in range(2))
        await dead.take(2)
        own_clock((LONGEST_MS + PERIOD_MS) * 1000)
        assert (await alive.take(2)).tokens == []
        own_clock(1)
        assert len((await alive.take(2)).tokens) == 2

    run(settings, work)


def test_a_clock_that_was_set_back_by_an_hour_holds_nothing_up_for_an_hour(
    settings: Settings, keys: KeySpace, own_clock: Callable[[int], None]
) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(client, keys.rate_limit, 2, PERIOD_MS, REQUEST_MS)
        ended, _ = (await limiter.take(2)).tokens
        limiter.end(ended)
        await limiter.take(0)
        own_clock(-3600 * 1_000_000)
        # Nobody knows any more when they began: both may have been just now.
        assert (await limiter.take(1)).tokens == []
        own_clock((LONGEST_MS + PERIOD_MS) * 1000 + 1)
        assert len((await limiter.take(2)).tokens) == 2

    run(settings, work)


def test_a_grant_whose_answer_is_lost_or_late_is_handed_back(
    settings: Settings, keys: KeySpace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(own: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(own, keys.rate_limit, 5, 60_000, REQUEST_MS)
        execute = limiter._script

        async def lost(**request: Any) -> None:
            await execute(**request)
            raise redis.ConnectionError("the answer is lost")

        monkeypatch.setattr(limiter, "_script", lost)
        with pytest.raises(redis.ConnectionError):
            await limiter.take(5)
        assert client.zcard(keys.rate_limit) == 5
        monkeypatch.setattr(limiter, "_script", execute)
        monkeypatch.setattr(limiter_module, "BEGIN_WITHIN_SECS", 0.0)
        assert (await limiter.take(5)).tokens == []
        await limiter.take(0)
        assert client.zcard(keys.rate_limit) == 0

    run(settings, work)


def test_a_lowered_limit_holds_for_what_is_under_way(settings: Settings, keys: KeySpace) -> None:
    async def work(client: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(client, keys.rate_limit, 5, 60_000, REQUEST_MS)
        await limiter.take(5)
        limiter.allow(2, 60_000)
        assert (await limiter.take(1)).tokens == []
        limiter.allow(6, 60_000)
        assert len((await limiter.take(5)).tokens) == 1

    run(settings, work)


def test_what_an_older_version_counted_is_in_the_window_until_its_period_is_over(
    settings: Settings, keys: KeySpace, client: redis.Redis, own_clock: Callable[[int], None]
) -> None:
    async def work(own: redis.asyncio.Redis) -> None:
        client.zadd(keys.rate_limit, {"older:1": BEGUN_US, "older:2": BEGUN_US})
        limiter = RateLimiter(own, keys.rate_limit, 2, PERIOD_MS, REQUEST_MS)
        own_clock(PERIOD_MS * 1000)
        assert (await limiter.take(2)).tokens == []
        own_clock(1)
        assert len((await limiter.take(2)).tokens) == 2

    run(settings, work)


def test_the_window_leaves_redis_when_nobody_asks(
    settings: Settings, client: redis.Redis, keys: KeySpace
) -> None:
    async def work(own: redis.asyncio.Redis) -> None:
        limiter = RateLimiter(own, keys.rate_limit, 5, 1000, REQUEST_MS)
        (token,) = (await limiter.take(1)).tokens
        assert LONGEST_MS < int(client.pttl(keys.rate_limit)) <= LONGEST_MS + 2000
        limiter.end(token)
        await limiter.take(0)
        assert 0 < int(client.pttl(keys.rate_limit)) <= 2000

    run(settings, work)


@pytest.mark.parametrize("delay_secs", [0.0, 0.15], ids=["quick", "slow"])
def test_no_window_has_more_arrivals_than_the_limit_with_several_askers(
    settings: Settings, keys: KeySpace, delay_secs: float
) -> None:
    limit, period_secs, askers, seconds = 20, 0.2, 4, 1.5
    chance = random.Random(7)
    arrivals: list[float] = []

    async def request(limiter: RateLimiter, token: str) -> None:
        await asyncio.sleep(chance.uniform(0, delay_secs))
        arrivals.append(time.monotonic())
        await asyncio.sleep(chance.uniform(0, delay_secs))
        limiter.end(token)

    async def ask(client: redis.asyncio.Redis, until: float) -> None:
        limiter = RateLimiter(client, keys.rate_limit, limit, round(period_secs * 1000), REQUEST_MS)
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until:
                grant = await limiter.take(3)
                for token in grant.tokens:
                    group.create_task(request(limiter, token))
                await asyncio.sleep(min(grant.wait_ms / 1000, 0.01))

    async def work(client: redis.asyncio.Redis) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(ask(client, until) for _ in range(askers)))

    run(settings, work)
    assert most_in_a_window(arrivals, period_secs) <= limit
    # The limit is used: each place is taken again a period after its request has ended.
    at_best = limit * seconds / (period_secs + delay_secs)
    assert len(arrivals) > at_best / 2


@dataclass
class Flight:
    """A token in the hands of a forwarder."""

    limiter: RateLimiter
    token: str
    granted_at: int
    arrived: bool = False


@dataclass
class World:
    """Two forwarders, their requests and a clock; whatever happens is drawn by hypothesis."""

    client: redis.asyncio.Redis
    limiters: list[RateLimiter]
    now: int = BEGUN_US
    flights: list[Flight] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)

    async def happen(self, what: str, number: int) -> None:
        """One step; `number` says how much, how many or which."""
        on_the_way = [each for each in self.flights if not each.arrived]
        match what:
            case "pass":
                await self._passes(number)
            case "arrive" if on_the_way:
                flight = on_the_way[number % len(on_the_way)]
                flight.arrived = True
                self.arrivals.append(self.now)
            case "end" if self.flights:
                flight = self.flights.pop(number % len(self.flights))
                flight.limiter.end(flight.token)
            case "unused" if on_the_way:
                flight = on_the_way[number % len(on_the_way)]
                self.flights.remove(flight)
                flight.limiter.hand_back([flight.token])
            case "take" | "lose the answer" | "lose the question":
                await self._takes(self.limiters[number % 2], number // 2 % (LIMIT + 2), what)

    async def _passes(self, us: int) -> None:
        self.now += us
        await self.client.set(CLOCK, self.now)
        # No request takes longer. Its forwarder may be dead; then nobody tells the end.
        self.flights = [each for each in self.flights if self.now - each.granted_at <= LONGEST_MS * 1000]

    async def _takes(self, limiter: RateLimiter, wanted: int, what: str) -> None:
        execute = limiter._script

        async def broken(**request: Any) -> None:
            if what == "lose the answer":
                await execute(**request)
            raise redis.ConnectionError(what)

        limiter._script = execute if what == "take" else broken  # type: ignore[assignment]
        try:
            grant = await limiter.take(wanted)
        except redis.ConnectionError:
            return
        finally:
            limiter._script = execute
        self.flights += [Flight(limiter, token, self.now) for token in grant.tokens]


SOME_US = st.one_of(
    st.sampled_from([1, PERIOD_MS * 1000 - 1, PERIOD_MS * 1000, PERIOD_MS * 1000 + 1, LONGEST_MS * 1000]),
    st.integers(0, 2 * PERIOD_MS * 1000),
)
WHICH = st.integers(0, 99)
STEP = st.one_of(
    st.tuples(st.just("pass"), SOME_US),
    *(st.tuples(st.just(what), WHICH) for what in ("take", "arrive", "arrive", "end")),
    st.tuples(st.sampled_from(["unused", "lose the answer", "lose the question"]), WHICH),
)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as made:
        yield made


@hypothesis_settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, min_size=10, max_size=60))
def test_whatever_happens_no_window_has_more_arrivals_than_the_limit_and_no_place_is_lost(
    settings: Settings,
    keys: KeySpace,
    client: redis.Redis,
    own_clock: Callable[[int], None],
    runner: asyncio.Runner,
    steps: list[tuple[str, int]],
) -> None:
    client.delete(keys.rate_limit)
    client.set(CLOCK, BEGUN_US)

    async def example() -> None:
        own = async_client(settings, Secrets(), "test")
        limiters = [RateLimiter(own, keys.rate_limit, LIMIT, PERIOD_MS, REQUEST_MS) for _ in range(2)]
        world = World(own, limiters)
        for what, number in steps:
            await world.happen(what, number)
            assert most_in_a_window(world.arrivals, PERIOD_MS * 1000) <= LIMIT
        await world.happen("pass", (LONGEST_MS + PERIOD_MS) * 1000 + 1)
        assert len((await limiters[0].take(LIMIT)).tokens) == LIMIT
        await own.aclose()

    runner.run(example())
