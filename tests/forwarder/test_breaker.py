"""The circuit breaker: an outage of Moogsoft costs probes, and nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from mutt_appliance.queueing.keys import KeySpace
from tests.conftest import MakeSettings
from tests.forwarder.conftest import (
    ALERT_QUEUE,
    NOWHERE,
    RETRY_SET,
    RunForwarder,
    alert,
    eventually,
    places,
    push,
    waiting_alerts,
)
from tests.support.moogsoft import OK, Answer, Moogsoft, Received

BEGAN = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CIRCUIT = "mutt:circuit:moog"
PROBE_SECS = 0.4
RARE = {"moog_circuit_probe_interval": 600.0, "moog_circuit_probe_max_interval": 600.0}
QUICK: dict[str, Any] = {
    "moog_circuit_failures": 5,
    "moog_circuit_probe_interval": PROBE_SECS,
    "moog_circuit_probe_max_interval": PROBE_SECS,
    "moog_max_retries": 5,
    "moog_max_concurrency": 20,
}


def aged(number: int, **fields: Any) -> dict[str, Any]:
    """An alert that is the older, the lower its number is."""
    received = (BEGAN + timedelta(milliseconds=number)).isoformat(timespec="microseconds")
    return alert(number, received_at=received.replace("+00:00", "Z"), **fields)


def number_of(alert_id: str) -> int:
    return int(alert_id.removeprefix("alert-"))


def is_open(store: redis.Redis) -> bool:
    return bool(store.hexists(CIRCUIT, "opened_at"))


def since(moogsoft: Moogsoft, at: float) -> list[Received]:
    return [request for request in list(moogsoft.requests) if request.at >= at]


@pytest.mark.parametrize("refusing", [False, True], ids=["503", "refused"])
def test_in_an_outage_only_probes_go_out_and_afterwards_everything_by_age(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    refusing: bool,
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(503)
        if refusing:
            await asyncio.to_thread(moogsoft.stop)
        push(store, *(aged(n) for n in range(100)))
        async with forwarder(settings_for(**QUICK)) as running:
            await eventually(lambda: is_open(store), "the circuit opens")
            await eventually(lambda: places(store)["held"] == 0, "nothing is kept in hand")
            opened = time.monotonic()
            push(store, *(aged(n) for n in range(100, 200)))
            await asyncio.sleep(4 * PROBE_SECS)
            if not refusing:
                probes = since(moogsoft, opened)
                assert 2 <= len(probes) <= (time.monotonic() - opened) / PROBE_SECS + 1
                assert len({request.alert_ids[0] for request in probes}) == len(probes), (
                    "another one each time"
                )
            assert sum(places(store).values()) == 200
            assert running.health("moogsoft")[0] is False
            moogsoft.answer = lambda _: OK
            if refusing:
                await asyncio.to_thread(moogsoft.start)
            await eventually(lambda: len(moogsoft.accepted_ids()) == 200, "all arrive")
            await eventually(lambda: places(store) == NOWHERE, "and are settled")
        assert not is_open(store)
        probe, *arrived = [number_of(alert_id) for alert_id in moogsoft.accepted_ids()]
        # Twenty are under way at once, and which of those comes first is nobody's business.
        late = [place - number for place, number in enumerate(arrived) if number < place - 20]
        assert late == [], (probe, arrived[:60])

    asyncio.run(scenario())


def test_many_forwarders_do_not_probe_each(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(503)
        push(store, *(aged(n) for n in range(50)))
        async with AsyncExitStack() as running:
            for index in range(3):
                await running.enter_async_context(forwarder(settings_for(**QUICK), index=index))
            await eventually(lambda: is_open(store), "the circuit opens")
            await eventually(lambda: places(store)["held"] == 0, "every forwarder knows")
            opened = time.monotonic()
            await asyncio.sleep(4 * PROBE_SECS)
            assert 2 <= len(since(moogsoft, opened)) <= (time.monotonic() - opened) / PROBE_SECS + 1
            moogsoft.answer = lambda _: OK
            await eventually(lambda: len(moogsoft.accepted_ids()) == 50, "all arrive")

    asyncio.run(scenario())


def test_probes_become_rarer_up_to_a_limit(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(503)
        push(store, *(aged(n) for n in range(20)))
        settings = settings_for(**{**QUICK, "moog_circuit_probe_interval": 0.1})
        async with forwarder(settings):
            await eventually(lambda: is_open(store), "the circuit opens")
            await eventually(
                lambda: float(store.hget(CIRCUIT, "interval") or 0) == 400, "the longest interval"
            )
            assert sum(places(store).values()) == 20

    asyncio.run(scenario())


def test_what_failed_as_the_circuit_opened_has_all_its_attempts_again(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        settings = settings_for(**{**QUICK, "moog_max_retries": 4, "moog_max_concurrency": 1})
        for _ in range(4):
            moogsoft.answer = lambda _: Answer(503)
            push(store, aged(0))
            async with forwarder(settings):
                await eventually(lambda: is_open(store), "one alert alone opens it")
                moogsoft.answer = lambda request: Answer(503) if "alert-0" in request.alert_ids else OK
                push(store, aged(1))
                await eventually(
                    lambda: "alert-1" in moogsoft.accepted_ids(), "a probe with another is answered"
                )
                await eventually(lambda: not is_open(store), "it is closed")
                moogsoft.answer = lambda _: OK
                await eventually(lambda: places(store) == NOWHERE, "the first arrives")
            moogsoft.answered.clear()

    asyncio.run(scenario())


def test_an_alert_that_opens_the_circuit_again_and_again_ends_as_a_dead_letter(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda request: Answer(500) if "alert-0" in request.alert_ids else OK
        quick = {"moog_circuit_failures": 2, "moog_max_retries": 3, "moog_retry_base_delay": 0.01,
                 "moog_retry_max_delay": 0.01, "moog_circuit_probe_interval": 0.1,
                 "moog_circuit_probe_max_interval": 0.1}  # fmt: skip
        push(store, aged(0))
        async with forwarder(settings_for(**{**QUICK, **quick})):
            number = 0
            while not places(store)["dead"]:
                await eventually(lambda: is_open(store) or places(store)["dead"], "it opens the circuit")
                number += 1
                assert number < 20
                if is_open(store):
                    push(store, aged(number))
                    await eventually(lambda: not is_open(store), "another closes it")
            assert not is_open(store)

    asyncio.run(scenario())


def test_a_forwarder_that_starts_in_an_outage_sends_nothing_but_probes(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        now_ms = int(time.time() * 1000)
        fields = {
            "opened_at": now_ms,
            "row": now_ms,
            "interval": 600_000,
            "probe_at": now_ms + 600_000,
            "backlog": 1,
        }
        store.hset(CIRCUIT, mapping={name: str(value) for name, value in fields.items()})
        push(store, *(aged(n) for n in range(30)))
        async with forwarder(settings_for(**{**QUICK, **RARE})):
            await asyncio.sleep(1)
            assert moogsoft.requests == []
            assert places(store) == {**NOWHERE, "queue": 30}
            # Nobody waits ten minutes for the probe once the longest time between two is shorter.
            for name in RARE:
                store.hset("mutt:config", name, json.dumps({"value": PROBE_SECS, "version": 1}))
            await eventually(lambda: len(moogsoft.accepted_ids()) == 30, "all arrive", timeout_secs=3)

    asyncio.run(scenario())


def test_failures_with_successes_between_them_are_none_in_a_row(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    """One of two servers behind a balancer is broken, and twenty answers come at once."""

    async def scenario() -> None:
        moogsoft.answer = lambda request: Answer(503) if number_of(request.alert_ids[0]) % 2 else OK
        push(store, *(aged(n) for n in range(200)))
        async with forwarder(settings_for(**{**QUICK, "moog_max_retries": 0})):
            settled = {**NOWHERE, "dead": 100}
            await eventually(lambda: places(store) == settled, "every other one arrives")
            # That stays in the circuit when it was open only for a moment.
            assert not store.hexists(CIRCUIT, "backlog")

    asyncio.run(scenario())


def test_switched_off_every_alert_is_tried_by_itself(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(503)
        push(store, *(aged(n) for n in range(20)))
        async with forwarder(settings_for(**{**QUICK, "moog_circuit_failures": 0, "moog_retry_base_delay": 60.0,
                                             "moog_retry_max_delay": 60.0})):  # fmt: skip
            await eventually(
                lambda: places(store) == {**NOWHERE, "retry": 20}, "all wait for the next attempt"
            )
            assert not is_open(store)
            assert {each["delivery"]["attempts"] for each in waiting_alerts(store)} == {1}

    asyncio.run(scenario())


def test_an_answer_that_is_about_one_alert_opens_nothing_and_closes(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        moogsoft.answer = lambda _: Answer(404)
        push(store, *(aged(n) for n in range(20)))
        async with forwarder(settings_for(**QUICK)):
            await eventually(lambda: places(store) == {**NOWHERE, "dead": 20}, "all are refused")
            assert not is_open(store)

    asyncio.run(scenario())


def test_keys_are_the_declared_ones(settings_for: MakeSettings) -> None:
    keys = KeySpace(settings_for())
    assert (keys.circuit, keys.alert_queue, keys.retry) == (CIRCUIT, ALERT_QUEUE, RETRY_SET)


def test_the_row_is_noted_and_forgotten_by_the_alerts_of_another(store: redis.Redis) -> None:
    from mutt_appliance.forwarder.jobs import SPARED_MOST, spared

    item = json.dumps({"alert_id": "a", "delivery": {"attempts": 5, "row": 7, "before": 1}}).encode()
    once = spared(item, 7)
    assert json.loads(once)["delivery"] == {"attempts": 1, "spared": 1}
    assert spared(item, 8) == item
    often = json.dumps({"delivery": {"attempts": 5, "row": 7, "before": 1, "spared": SPARED_MOST}}).encode()
    assert spared(often, 7) == often
    assert spared(b"no JSON", 7) == b"no JSON"
