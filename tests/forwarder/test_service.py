"""The forwarder's loop: delivery, retries, final failures, poison."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import time
import urllib.request
from email.utils import formatdate

import pytest
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
    waiting_alerts,
)
from tests.support.children import TEST_SECRETS, ChildFactory
from tests.support.moogsoft import HANG, RESET, Answer, Moogsoft


def arrivals(moogsoft: Moogsoft, alert_id: str) -> list[float]:
    """When requests with `alert_id` arrived (monotonic seconds), whatever their answer."""
    return [request.at for request in moogsoft.requests if alert_id in request.alert_ids]


def test_an_alert_arrives_as_a_lam_object_with_the_key_and_nothing_is_left(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        push(store, alert(1))
        async with forwarder(settings_for()) as running:
            await eventually(lambda: moogsoft.accepted_ids() == ["alert-1"], "the alert arrives")
            await eventually(lambda: places(store) == NOWHERE, "it is settled")
            await eventually(lambda: running.health("moogsoft")[0], "health is good")
        assert moogsoft.requests[0].headers["content-type"] == "application/json"
        assert moogsoft.requests[0].events[0]["signature"] == "mutt::router1::7::GigabitEthernet0/1"

    asyncio.run(scenario())


def test_requests_are_counted_by_outcome_and_written_at_the_latest_when_it_stops(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        failing_first(moogsoft, "alert-1", Answer(503), Answer(503))
        push(store, alert(1), alert(2))
        async with forwarder(settings_for()):
            await eventually(lambda: len(moogsoft.accepted_ids()) == 2, "both arrive")

    asyncio.run(scenario())
    counted = {
        outcome: sum(int(store.get(key) or 0) for key in store.keys(f"mutt:slo:forwarder:{outcome}:1h:*"))
        for outcome in ("success", "fail")
    }
    assert counted == {"success": 2, "fail": 2}


def test_an_idle_forwarder_delivers_within_milliseconds(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> list[float]:
        delays = []
        async with forwarder(settings_for()):
            for number in range(20):
                await eventually(lambda: places(store) == NOWHERE, "idle again")
                pushed_at = time.monotonic()
                push(store, alert(number))
                await eventually(functools.partial(arrivals, moogsoft, f"alert-{number}"), "it arrives")
                delays.append(arrivals(moogsoft, f"alert-{number}")[0] - pushed_at)
        return delays

    assert sorted(asyncio.run(scenario()))[10] < 0.05


def test_alerts_go_on_while_one_waits_for_its_next_attempt(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        failing_first(moogsoft, "alert-0", Answer(503), Answer(503), Answer(503))
        settings = settings_for(moog_max_concurrency=1, moog_retry_base_delay=0.4, moog_retry_max_delay=10)
        push(store, alert(0), alert(1), alert(2))
        async with forwarder(settings):
            await eventually(lambda: len(moogsoft.accepted_ids()) == 2, "the others arrive")
            await eventually(lambda: places(store) == {**NOWHERE, "retry": 1}, "they are settled")
            assert len(arrivals(moogsoft, "alert-0")) == 1
            await eventually(lambda: "alert-0" in moogsoft.accepted_ids(), "it arrives at last")
            await eventually(lambda: places(store) == NOWHERE, "nothing is left")
        times = arrivals(moogsoft, "alert-0")
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert len(gaps) == 3
        for gap, expected in zip(gaps, (0.4, 0.8, 1.6), strict=True):
            assert expected - 0.01 <= gap < expected + 0.35

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    kind: str,
) -> None:
    async def scenario() -> None:
        # A date has whole seconds, so the third from now is between two and three seconds away.
        value = "2" if kind == "seconds" else formatdate(time.time() + 3, usegmt=True)
        failing_first(moogsoft, "alert-0", Answer(429, retry_after=value))
        push(store, alert(0))
        async with forwarder(settings_for()):
            await eventually(lambda: moogsoft.accepted_ids() == ["alert-0"], "it arrives")
        first, second = arrivals(moogsoft, "alert-0")
        assert 1.9 <= second - first < 3.5

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "reason"), [(HANG, "timeout"), (RESET, "connection"), (Answer(500), "http_500")]
)
def test_a_fault_is_tried_again_and_named(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    fault: Answer,
    reason: str,
) -> None:
    async def scenario() -> None:
        failing_first(moogsoft, "alert-0", fault)
        # Long enough for the health board to be published in between.
        slow = {"moog_retry_base_delay": 2.0, "moog_retry_max_delay": 2.0}
        push(store, alert(0))
        async with forwarder(settings_for(moog_webhook_timeout=0.3, **slow)) as running:
            await eventually(lambda: waiting_alerts(store), "it waits for its next attempt")
            delivery = waiting_alerts(store)[0]["delivery"]
            assert (delivery["attempts"], delivery["last_error"]) == (1, reason)
            await eventually(lambda: reason in running.health("moogsoft")[1], "health names the fault")
            assert not running.health("moogsoft")[0]
            await eventually(lambda: moogsoft.accepted_ids() == ["alert-0"], "it arrives")
            await eventually(lambda: running.health("moogsoft")[0], "health is good again")

    asyncio.run(scenario())


def test_a_hanging_request_delays_nobody(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        failing_first(moogsoft, "alert-0", HANG)
        push(store, *(alert(n) for n in range(200)))
        started = time.monotonic()
        async with forwarder(settings_for(moog_max_concurrency=4, moog_webhook_timeout=8)):
            await eventually(lambda: len(moogsoft.accepted_ids()) == 199, "the others arrive")
            assert time.monotonic() - started < 7
            await eventually(lambda: len(moogsoft.accepted_ids()) == 200, "it arrives")

    asyncio.run(scenario())


def test_nobody_listening_and_then_somebody(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        settings = settings_for(moog_max_retries=100)
        moogsoft.stop()
        push(store, alert(0), alert(1))
        async with forwarder(settings) as running:
            await eventually(lambda: "connection" in running.health("moogsoft")[1], "health says so")
            moogsoft.start()
            await eventually(lambda: sorted(moogsoft.accepted_ids()) == ["alert-0", "alert-1"], "both arrive")

    asyncio.run(scenario())


def test_a_final_answer_is_a_dead_letter_with_reason_attempts_and_time(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        failing_first(moogsoft, "alert-0", Answer(503), Answer(404))
        push(store, alert(0), alert(1))
        async with forwarder(settings_for()):
            await eventually(lambda: dead_letters(store), "it is a dead letter")
            await eventually(lambda: moogsoft.accepted_ids() == ["alert-1"], "the other arrives")
        (letter,) = dead_letters(store)
        assert (letter["reason"], letter["attempts"], letter["source"]) == ("http_404", 2, "moog")
        assert letter["payload"]["alert_id"] == "alert-0"
        assert letter["failed_at"].endswith("Z")
        assert TEST_SECRETS.moog_api_key not in json.dumps(letter)

    asyncio.run(scenario())


def test_retries_end_in_the_dead_letters(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(503)
        push(store, alert(0))
        async with forwarder(settings_for(moog_max_retries=3)):
            await eventually(lambda: dead_letters(store), "it is a dead letter")
        (letter,) = dead_letters(store)
        assert letter["reason"] == "http_503, 4 attempts (MOOG_MAX_RETRIES=3)"
        assert len(moogsoft.requests) == letter["attempts"] == 4

    asyncio.run(scenario())


def test_a_redirect_is_not_followed(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(302, headers=(("Location", moogsoft.url),))
        push(store, alert(0))
        async with forwarder(settings_for()):
            await eventually(lambda: dead_letters(store), "it is a dead letter")
        assert len(moogsoft.requests) == 1
        assert dead_letters(store)[0]["reason"] == "http_302"

    asyncio.run(scenario())


def test_poison_becomes_a_dead_letter_and_stops_nobody(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        poison = [b"", b"{", b"[1,2]", b"\xff\xfe\x00", b"7"]
        push(store, alert(0), *poison, alert(1))
        async with forwarder(settings_for()):
            await eventually(lambda: len(dead_letters(store)) == len(poison), "poison is put aside")
            await eventually(lambda: len(moogsoft.accepted_ids()) == 2, "alerts arrive")
            await eventually(
                lambda: places(store) == {**NOWHERE, "dead": len(poison)}, "nothing else is left"
            )

    asyncio.run(scenario())


def test_a_wrong_key_is_final_and_shown_by_health_without_the_key(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def scenario() -> None:
        moogsoft.api_key = "another"
        push(store, alert(0))
        async with forwarder(settings_for()) as running:
            await eventually(lambda: dead_letters(store), "it is a dead letter")
            await eventually(lambda: "http_401" in running.health("moogsoft")[1], "health says so")
        assert dead_letters(store)[0]["reason"] == "http_401"
        assert TEST_SECRETS.moog_api_key not in json.dumps(dead_letters(store)) + "".join(capfd.readouterr())

    asyncio.run(scenario())


def test_each_failed_attempt_is_one_warning_with_its_ids_and_without_its_payload(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def scenario() -> None:
        failing_first(moogsoft, "alert-0", Answer(503), Answer(404))
        push(store, alert(0, message="a private message"))
        async with forwarder(settings_for()):
            await eventually(lambda: dead_letters(store), "it is a dead letter")

    asyncio.run(scenario())
    lines = "".join(capfd.readouterr()).splitlines()
    attempts = [line for line in lines if "attempt failed" in line]
    assert len(attempts) == 2
    assert all("correlation-0" in line and "alert-0" in line for line in attempts)
    assert not any("a private message" in line for line in lines)


def test_metrics_and_health_are_served_and_reports_tell_ready_and_beats(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    child_for: ChildFactory,
) -> None:
    def health_of(port: int) -> tuple[int, dict[str, object]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return response.status, json.load(response)

    async def scenario() -> None:
        settings = settings_for()
        push(store, alert(0))
        async with forwarder(settings) as running:
            await eventually(lambda: running.health("redis")[0], "health is published")
            for port in (settings.metrics_port_moog, settings.health_port_moog):
                status, document = await asyncio.to_thread(health_of, port)
                assert (status, document["status"]) == (200, "ok")
            kinds: list[str] = []

            def two_beats() -> bool:
                kinds.extend(message["kind"] for message in child_for.reports(running.child))
                return kinds.count("beat") >= 2

            await eventually(two_beats, "it beats")
            assert kinds[0] == "ready"

    asyncio.run(scenario())


def test_a_changed_rate_limit_is_in_force_at_once(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        push(store, *(alert(number) for number in range(5)))
        async with forwarder(settings_for(moog_rate_limit=1, moog_rate_period=600)):
            await eventually(lambda: len(moogsoft.requests) == 1, "the one that the limit allows")
            await eventually(lambda: store.pubsub_numsub("mutt:changes")[0][1] == 1, "it listens")
            store.hset("mutt:config", "moog_rate_limit", '{"value":100,"version":1}')
            store.publish("mutt:changes", "config")
            await eventually(lambda: len(moogsoft.requests) == 5, "the rest, long before the period is over")

    asyncio.run(scenario())
