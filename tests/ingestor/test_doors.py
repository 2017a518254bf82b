"""Where the events of a request go, and what is answered when a shard of several is away or full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.events.admission import Admission, Limits, admit
from mutt_appliance.ingestor.doors import Doors, spread
from mutt_appliance.queueing.client import RedisConnectionError, RedisError
from mutt_appliance.queueing.intake import IntakeResult
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.shards import async_shards, close_all, shard_of
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings
from tests.support.servers import RedisServer

T = TypeVar("T")
SHARDS = 3
# One host for each shard.
HOSTS = [next(f"r{n}" for n in range(99) if shard_of(f"r{n}", SHARDS) == shard) for shard in range(SHARDS)]


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Three shards that have room for three events each."""
    return make_settings(redis_shards=SHARDS, max_ingest_queue_size=3 * SHARDS)


def request(settings: Settings, *hosts: str | None, first: int = 0, ids: bool = True) -> Admission:
    """An admitted request with an event of each host; None stands for one that is refused."""
    events: list[Any] = [
        {"timestamp": "t", "hostname": host, "message": "m", **({"event_id": f"e{number}"} if ids else {})}
        if host
        else 5
        for number, host in enumerate(hosts, first)
    ]
    return admit(events, Limits.of(settings), "c", "2026-11-24T02:00:00Z", may_hold_nul=False)


def at_doors(settings: Settings, work: Callable[[Doors], Awaitable[T]]) -> T:
    async def main() -> T:
        shards = async_shards(settings, Secrets(), "test")
        try:
            return await work(Doors(shards, settings))
        finally:
            await close_all(shards)

    return asyncio.run(main())


def put(settings: Settings, *admissions: Admission) -> list[IntakeResult]:
    async def work(doors: Doors) -> list[IntakeResult]:
        return [await doors.submit(admission) for admission in admissions]

    return at_doors(settings, work)


def queued(settings: Settings, client: redis.Redis) -> list[list[str]]:
    """Hosts of the events in each shard, the newest first."""
    lists: list[Any] = [client.lrange(KeySpace(settings, n).ingest_queue, 0, -1) for n in range(SHARDS)]
    return [[orjson.loads(item)["hostname"] for item in items] for items in lists]


def test_a_request_is_spread_by_host_and_keeps_the_order_of_each() -> None:
    admission = Admission(
        events=[(b"", b"1"), (b"", b"2"), (b"", b"3"), (b"", b"4")],
        hostnames=[HOSTS[2], HOSTS[0], HOSTS[2], HOSTS[0]],
    )
    parts = spread(admission, SHARDS)
    assert {number: part.intake.events for number, part in parts.items()} == {
        2: [(b"", b"1"), (b"", b"3")],
        0: [(b"", b"2"), (b"", b"4")],
    }
    assert {number: part.places for number, part in parts.items()} == {2: [0, 2], 0: [1, 3]}


def test_what_was_refused_goes_with_the_first_event_or_home() -> None:
    with_event = spread(Admission(events=[(b"", b"1")], hostnames=[HOSTS[2]], dead=[b"d"]), SHARDS)
    assert [(number, part.intake.dead) for number, part in with_event.items()] == [(2, [b"d"])]
    alone = spread(Admission(dead=[b"d"]), SHARDS)
    assert [(number, part.intake.dead) for number, part in alone.items()] == [(0, [b"d"])]


def test_the_answer_counts_the_duplicates_of_all_shards(settings: Settings, client: redis.Redis) -> None:
    first, second = put(settings, request(settings, *HOSTS), request(settings, *HOSTS, HOSTS[0]))
    assert (first.accepted, first.queue_depth, first.duplicates) == (True, 3, frozenset())
    assert (second.accepted, second.queue_depth, second.duplicates) == (True, 4, frozenset({0, 1, 2}))
    assert queued(settings, client) == [[HOSTS[0], HOSTS[0]], [HOSTS[1]], [HOSTS[2]]]


def test_a_full_shard_refuses_its_own_events_and_those_that_come_with_them(
    settings: Settings, client: redis.Redis
) -> None:
    async def work(doors: Doors) -> list[bool]:
        hosts = [(HOSTS[1],) * 3, (HOSTS[1],), HOSTS, (HOSTS[0], HOSTS[2])]
        answers = [await doors.submit(request(settings, *each, first=10 * n)) for n, each in enumerate(hosts)]
        return [answer.accepted for answer in answers]

    assert at_doors(settings, work) == [True, False, False, True]
    # Of the request for all three nothing was begun: each try of its sender would leave some of it.
    assert [len(each) for each in queued(settings, client)] == [1, 3, 1]


def test_while_a_shard_is_away_the_others_take_what_is_theirs_alone(make_settings: MakeSettings) -> None:
    server = RedisServer()
    server.start()
    home = make_settings(redis_shards=SHARDS)
    # Home answers; the other two shards lie in a Redis that is killed.
    elsewhere = make_settings(redis_shards=SHARDS, redis_host=server.address)

    async def main() -> None:
        shards, gone = async_shards(home, Secrets(), "test"), async_shards(elsewhere, Secrets(), "test")
        try:
            doors = Doors([shards[0], gone[1], gone[2]], home)
            await doors.submit(request(home, *HOSTS, ids=False))
            server.kill()
            # The first one finds out, and its part for home is queued: its sender's next try will be a second.
            with pytest.raises(RedisError):
                await doors.submit(request(home, *HOSTS, ids=False))
            for _ in range(3):
                with pytest.raises(RedisConnectionError, match="shard 1 does not answer"):
                    await doors.submit(request(home, *HOSTS, ids=False))
            assert (await doors.submit(request(home, HOSTS[0], ids=False))).accepted
            assert await shards[0].client.llen(shards[0].keys.ingest_queue) == 3
            server.start()
            for door in doors.all:
                await door.look()
            assert (await doors.submit(request(home, *HOSTS, ids=False))).accepted
        finally:
            await close_all([*shards, *gone])
            server.close()

    asyncio.run(main())
