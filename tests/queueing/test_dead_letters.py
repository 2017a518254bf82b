"""What becomes of dead letters, without a server and on a real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.events.admission import Limits
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.dead_letters import (
    CHUNK,
    DeadLetters,
    Letter,
    LetterFilter,
    NotReplayableError,
    QueueName,
    Sweep,
    goes_to,
    read_letter,
    replayed,
)
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.shards import async_shards, close_all
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings

LIMITS = Limits.of(Settings())
EVENT = {"timestamp": "2026-11-24T12:00:00Z", "hostname": "r1", "message": "m"}
ALERT = {"alert_id": "a1", "event_id": "e1", "hostname": "r1", "delivery": {"attempts": 6}}


def letter(payload: Any, reason: str = "http_404", source: str = "forwarder") -> Letter:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return read_letter(dead_letter(raw, reason, 3, source))


def test_a_letter_is_read_with_its_payload() -> None:
    found = letter(ALERT)
    assert (found.reason, found.attempts, found.source, found.hostname) == ("http_404", 3, "forwarder", "r1")
    assert found.failed_at is not None
    assert len(found.id) == 40


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[]", b"{}", b'"x"', b"\x1b[31m"])
def test_what_is_no_letter_is_shown_as_it_is(raw: bytes) -> None:
    found = read_letter(raw)
    assert found.reason == "not a dead letter of MUTT"
    assert found.payload == raw.decode("utf-8", "replace")


def test_an_alert_forgets_its_attempts_and_keeps_the_rest() -> None:
    assert json.loads(replayed("moog", letter(ALERT), ALERT, LIMITS)) == {
        name: value for name, value in ALERT.items() if name != "delivery"
    }


@pytest.mark.parametrize(
    ("queue", "source", "way"),
    [("ingest", "ingest", "events"), ("alerter", "alerter", "events"), ("alerter", "alerter-shed", "alerts"),
     ("moog", "forwarder", "alerts")],
)  # fmt: skip
def test_a_letter_goes_where_it_came_from(queue: QueueName, source: str, way: str) -> None:
    assert goes_to(queue, letter(EVENT, source=source)) == way


def test_an_event_is_completed_as_at_the_door() -> None:
    item = json.loads(replayed("ingest", letter(EVENT), EVENT, LIMITS))
    assert item.items() >= EVENT.items()
    assert {"event_id", "correlation_id", "received_at"} <= item.keys()
    assert json.loads(replayed("ingest", letter(b"x"), json.dumps(EVENT), LIMITS))["hostname"] == "r1"


@pytest.mark.parametrize(
    ("queue", "payload", "words"),
    [
        ("ingest", {"hostname": "r1", "message": "m"}, "timestamp is missing"),
        ("ingest", {**EVENT, "syslog_severity": 99}, "syslog_severity"),
        ("ingest", {**EVENT, "message": "a\0b"}, "NUL"),
        ("ingest", "not json", "not valid JSON"),
        ("ingest", [1], "must be a JSON object"),
        ("moog", {"x": 1}, "alert_id"),
        ("moog", "text", "alert_id"),
    ],
)
def test_what_cannot_go_on_is_said(queue: QueueName, payload: Any, words: str) -> None:
    with pytest.raises(NotReplayableError, match=words):
        replayed(queue, letter(payload), payload, LIMITS)


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (LetterFilter(), True),
        (LetterFilter(reason="HTTP_4"), True),
        (LetterFilter(reason="http_5"), False),
        (LetterFilter(hostname="R1"), True),
        (LetterFilter(hostname="r"), False),
        (LetterFilter(text='"ALERT_ID":"a1"'), True),
        (LetterFilter(text="a2"), False),
    ],
)
def test_a_filter_takes_what_it_says(wanted: LetterFilter, takes: bool) -> None:
    assert wanted.takes(letter(ALERT)) is takes


Work = Callable[[DeadLetters], Coroutine[Any, Any, Any]]


def on(settings: Settings, queue: QueueName, work: Work) -> Any:
    async def go() -> Any:
        shards = async_shards(settings, Secrets(), "test")
        try:
            return await work(DeadLetters(shards, queue))
        finally:
            await close_all(shards)

    return asyncio.run(go())


def put(client: redis.Redis, key: str, *letters: bytes) -> None:
    """As they come in: the last one is the newest."""
    client.lpush(key, *letters)


def test_of_two_who_replay_the_same_letter_one_does(settings: Settings, client: redis.Redis) -> None:
    keys = KeySpace(settings)
    raw = dead_letter(json.dumps(ALERT), "http_404", 1, "forwarder")
    put(client, keys.alerts.dead, raw, b"another")

    async def work(letters: DeadLetters) -> list[bool]:
        found = await letters.find(read_letter(raw).id)
        assert found is not None
        return list(await asyncio.gather(*(letters.replay(found, b"onward") for _ in range(5))))

    assert sorted(on(settings, "moog", work)) == [False] * 4 + [True]
    assert client.lrange(keys.alert_queue, 0, -1) == [b"onward"]
    assert client.lrange(keys.alerts.dead, 0, -1) == [b"another"]


def test_a_sweep_replays_what_can_go_on_and_leaves_the_rest(settings: Settings, client: redis.Redis) -> None:
    keys = KeySpace(settings)
    count = 3 * CHUNK + 7
    good = [
        dead_letter(json.dumps({**ALERT, "alert_id": f"a{n}"}), "http_503", 1, "forwarder")
        for n in range(count)
    ]
    bad = [dead_letter(f"text {n}", "http_503", 1, "forwarder") for n in range(CHUNK)]
    other = [dead_letter(json.dumps(ALERT), f"http_404 {n}", 1, "forwarder") for n in range(CHUNK)]
    mixed = [raw for triple in zip(good, bad, other, strict=False) for raw in triple] + good[CHUNK:]
    put(client, keys.alerts.dead, *mixed)

    def decide(one: Letter) -> bytes | None:
        try:
            return replayed("moog", one, one.payload, LIMITS)
        except NotReplayableError:
            return None

    async def work(letters: DeadLetters) -> Sweep:
        sweep = await Sweep.over(letters, LetterFilter(reason="http_503"))
        while await sweep.replay_chunk(decide):
            pass
        return sweep

    sweep = on(settings, "moog", work)
    assert (sweep.moved, sweep.failed, sweep.looked_at) == (count, CHUNK, len(mixed))
    assert client.llen(keys.alerts.dead) == 2 * CHUNK
    queued: Any = client.lrange(keys.alert_queue, 0, -1)
    # The oldest is forwarded first.
    assert [json.loads(item)["alert_id"] for item in reversed(queued)] == [f"a{n}" for n in range(count)]


def test_a_replay_behind_many_others_keeps_redis_busy_for_a_moment_only(
    settings: Settings, client: redis.Redis
) -> None:
    """Everybody waits while a script runs: events are refused when that takes seconds."""
    keys = KeySpace(settings)

    def letters_of(name: str, reason: str, numbers: range) -> list[bytes]:
        """All of one size: those LREM has to compare byte by byte."""
        alerts = ({**ALERT, "alert_id": f"{name}{n:06}", "text": "x" * 900} for n in numbers)
        return [dead_letter(json.dumps(each), reason, 1, "f", f"{n:06}") for n, each in enumerate(alerts)]

    for first in range(0, 60_000, 1000):
        put(client, keys.alerts.dead, *letters_of("o", "http_404", range(first, first + 1000)))
    meant = letters_of("a", "http_503", range(300))
    put(client, keys.alerts.dead, *meant)
    client.config_resetstat()

    async def work(letters: DeadLetters) -> int:
        sweep = await Sweep.over(letters, LetterFilter(reason="http_503"))
        while await sweep.replay_chunk(lambda letter: letter.raw):
            pass
        return sweep.moved

    assert on(settings, "moog", work) == 300
    assert client.lrange(keys.alert_queue, 0, -1) == meant[::-1]
    assert client.llen(keys.alerts.dead) == 60_000
    spent = client.info("commandstats")["cmdstat_evalsha"]
    assert spent["usec"] / spent["calls"] < 200_000


def test_letters_are_found_although_they_lie_elsewhere_by_now(
    settings: Settings, client: redis.Redis
) -> None:
    keys = KeySpace(settings)
    every = [letter_at(n) for n in range(9)]
    put(client, keys.alerts.dead, *every)

    async def work(letters: DeadLetters) -> tuple[int, int]:
        (pile,) = letters.piles
        oldest, newest = await pile.oldest(2, 3), await pile.page(0, 2)
        # One is taken away, one comes, and one of those that were read is gone.
        client.lrem(keys.alerts.dead, 1, every[0])  # type: ignore[arg-type]
        client.lrem(keys.alerts.dead, 1, every[3])  # type: ignore[arg-type]
        put(client, keys.alerts.dead, letter_at(10))
        moved = await pile.replay([(each, each.raw) for each in oldest])
        return moved, await pile.discard(newest)

    assert on(settings, "moog", work) == (2, 2)
    assert client.lrange(keys.alert_queue, 0, -1) == [every[4], every[2]]
    assert client.lrange(keys.alerts.dead, 0, -1) == [letter_at(10), every[6], every[5], every[1]]


def test_a_sweep_does_not_meet_those_again_that_fail_at_once(settings: Settings, client: redis.Redis) -> None:
    keys = KeySpace(settings)
    raw = dead_letter(json.dumps(ALERT), "http_404", 1, "forwarder")
    put(client, keys.alerts.dead, *[raw] * 3)

    def decide(one: Letter) -> bytes | None:
        put(client, keys.alerts.dead, one.raw)
        return b"onward"

    async def work(letters: DeadLetters) -> int:
        sweep = await Sweep.over(letters, LetterFilter())
        while await sweep.replay_chunk(decide):
            pass
        return sweep.moved

    assert on(settings, "moog", work) == 3
    assert client.llen(keys.alerts.dead) == 3


def test_what_the_filter_does_not_mean_is_not_discarded(settings: Settings, client: redis.Redis) -> None:
    keys = KeySpace(settings)
    keep = dead_letter(json.dumps({**EVENT, "hostname": "r2"}), "bad", 0, "ingest")
    drop = [dead_letter(json.dumps({**EVENT, "n": n}), "bad", 0, "ingest") for n in range(2 * CHUNK)]
    put(client, keys.ingest_dead, *drop[:CHUNK], keep, *drop[CHUNK:])

    async def work(letters: DeadLetters) -> int:
        sweep = await Sweep.over(letters, LetterFilter(hostname="r1"))
        while await sweep.discard_chunk():
            pass
        return sweep.moved

    assert on(settings, "ingest", work) == 2 * CHUNK
    assert client.lrange(keys.ingest_dead, 0, -1) == [keep]


@pytest.fixture
def three(make_settings: MakeSettings) -> Settings:
    """Settings with three shards."""
    return make_settings(redis_shards=3)


def letter_at(number: int, **fields: Any) -> bytes:
    """A letter of an alert that failed in this minute."""
    alert = {**ALERT, "alert_id": f"a{number}", **fields}
    return dead_letter(json.dumps(alert), "http_404", 1, "forwarder", f"2026-11-24T02:{number:02}:00.000000Z")


def names(letters: list[Letter]) -> list[str]:
    return [letter.payload["alert_id"] for letter in letters]


def test_letters_of_all_shards_are_one_queue_by_the_time_they_failed(
    three: Settings, client: redis.Redis
) -> None:
    for number in range(12):
        put(client, KeySpace(three, number % 3).alerts.dead, letter_at(number))

    async def work(letters: DeadLetters) -> tuple[int, list[str], list[str], list[int], str]:
        page = await letters.page(2, 4)
        oldest = await letters.oldest_one()
        everything = [letter async for letter in letters.newest_first(99)]
        assert oldest is not None
        shards = [one.shard for one in page]
        return await letters.depth(), names(page), names(everything), shards, names([oldest])[0]

    depth, page, everything, shards, oldest = on(three, "moog", work)
    assert (depth, page, oldest) == (12, ["a9", "a8", "a7", "a6"], "a0")
    assert everything == [f"a{n}" for n in reversed(range(12))]
    assert shards == [0, 2, 1, 0]


@pytest.mark.parametrize("shards", [1, 3])
def test_letters_that_come_while_all_are_read_hide_and_repeat_none(
    make_settings: MakeSettings, client: redis.Redis, shards: int
) -> None:
    settings = make_settings(redis_shards=shards)
    count = 2 * CHUNK + 50
    for number in range(count):
        raw = dead_letter(json.dumps({**ALERT, "alert_id": f"a{number}"}), "x", 1, "f", f"{number:06}")
        put(client, KeySpace(settings, number % shards).alerts.dead, raw)

    async def work(letters: DeadLetters) -> list[str]:
        found = []
        async for letter in letters.oldest_first():
            found.append(letter.payload["alert_id"])
            put(client, KeySpace(settings, letter.shard).alerts.dead, letter_at(59, n=len(found)))
        return found

    assert on(settings, "moog", work) == [f"a{n}" for n in range(count)]


def test_a_letter_is_replayed_and_discarded_in_its_own_shard(three: Settings, client: redis.Redis) -> None:
    for number in range(6):
        put(client, KeySpace(three, number % 3).alerts.dead, letter_at(number))

    async def work(letters: DeadLetters) -> list[bool]:
        found = {letter.payload["alert_id"]: letter async for letter in letters.newest_first(9)}
        return [
            await letters.replay(found["a4"], b"onward"),
            await letters.replay(found["a4"], b"onward"),
            await letters.discard(found["a2"]),
        ]

    assert on(three, "moog", work) == [True, False, True]
    assert [client.llen(KeySpace(three, n).alerts.dead) for n in range(3)] == [2, 1, 1]
    assert [client.llen(KeySpace(three, n).alert_queue) for n in range(3)] == [0, 1, 0]


def test_a_sweep_goes_through_all_shards(three: Settings, client: redis.Redis) -> None:
    for number in range(60):
        put(client, KeySpace(three, number % 2 * 2).alerts.dead, letter_at(number, hostname=f"r{number % 4}"))

    async def work(letters: DeadLetters) -> Sweep:
        sweep = await Sweep.over(letters, LetterFilter(hostname="r1"))
        while await sweep.replay_chunk(lambda letter: letter.raw):
            pass
        return sweep

    sweep = on(three, "moog", work)
    assert (sweep.most, sweep.looked_at, sweep.moved, sweep.failed) == (60, 60, 15, 0)
    assert [client.llen(KeySpace(three, n).alert_queue) for n in range(3)] == [0, 0, 15]
    assert [client.llen(KeySpace(three, n).alerts.dead) for n in range(3)] == [30, 0, 15]
