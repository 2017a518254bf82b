"""Alerts that used up their retries are tried again once Moogsoft is well."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from mutt_appliance.forwarder import second_chance
from mutt_appliance.forwarder.second_chance import again
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.dead_letters import Letter, read_letter
from tests.conftest import MakeSettings
from tests.forwarder.conftest import (
    ALERT_QUEUE,
    DEAD_LETTERS,
    RunForwarder,
    alert,
    dead_letters,
    eventually,
    places,
)
from tests.support.moogsoft import Answer, Moogsoft

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
USED_UP = "http_503, 6 attempts (MOOG_MAX_RETRIES=5)"


def letter(reason: str = USED_UP, failed_at: str = "2026-11-24T11:00:00Z", **delivery: Any) -> bytes:
    return dead_letter(
        json.dumps({**alert(1), "delivery": {"attempts": 6, **delivery}}), reason, 6, "moog", failed_at
    )


def read(raw: bytes) -> Letter:
    return read_letter(raw)


def test_what_used_up_its_retries_begins_anew_and_knows_how_often() -> None:
    first = again(read(letter(spared=3)), 3, NOW)
    assert first is not None
    assert json.loads(first)["delivery"] == {"attempts": 0, "replays": 1}
    second = again(read(letter(replays=2)), 3, NOW)
    assert second is not None
    assert json.loads(second)["delivery"] == {"attempts": 0, "replays": 3}


@pytest.mark.parametrize(
    "raw",
    [
        letter("http_404"),
        letter(replays=3),
        letter(replays="many"),
        letter(failed_at=(NOW - timedelta(seconds=59)).isoformat()),
        dead_letter("text", USED_UP, 6, "moog", "2026-11-24T11:00:00Z"),
        dead_letter('{"hostname": "r1"}', USED_UP, 6, "moog", "2026-11-24T11:00:00Z"),
        b"none of ours",
    ],
    ids=["final", "often enough", "odd", "young", "text", "no alert", "foreign"],
)
def test_everything_else_stays(raw: bytes) -> None:
    assert again(read(raw), 3, NOW) is None


def test_letters_go_on_by_themselves_until_they_had_their_chances(
    settings_for: MakeSettings,
    moogsoft: Moogsoft,
    store: redis.Redis,
    forwarder: RunForwarder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(second_chance, "AGE_LEAST", timedelta(0))
    monkeypatch.setattr(second_chance, "REST_SECS", 0.1)

    def answer(request: Any) -> Answer:
        return Answer(500) if "alert-2" in request.alert_ids else Answer(200)

    moogsoft.answer = answer

    def dead(number: int, reason: str = USED_UP) -> bytes:
        return dead_letter(json.dumps({**alert(number), "delivery": {"attempts": 6}}), reason, 6, "moog")

    async def scenario() -> None:
        store.lpush(DEAD_LETTERS, dead(1), dead(2), dead(3, "http_404"))
        settings = settings_for(moog_max_retries=0, moog_dlq_replay_max=2, moog_circuit_failures=3)
        async with forwarder(settings):
            await eventually(lambda: "alert-1" in moogsoft.accepted_ids(), "what can arrive arrives")

            def had_its_chances() -> bool:
                return any(each["payload"]["delivery"].get("replays") == 2 for each in dead_letters(store))

            # A success in between: while the last request failed nothing is tried again.
            number = 10
            while not had_its_chances():
                store.lpush(ALERT_QUEUE, json.dumps(alert(number)))
                number += 1
                await asyncio.sleep(0.3)
                assert number < 60
            tries = sum("alert-2" in request.alert_ids for request in moogsoft.requests)
            await asyncio.sleep(2.5)
            assert sum("alert-2" in request.alert_ids for request in moogsoft.requests) == tries == 2
        assert {each["payload"]["alert_id"] for each in dead_letters(store)} == {"alert-2", "alert-3"}

    asyncio.run(scenario())


def test_switched_off_or_while_somebody_else_replays_nothing_moves(
    settings_for: MakeSettings, store: redis.Redis, forwarder: RunForwarder, moogsoft: Moogsoft
) -> None:
    async def scenario(**settings: Any) -> None:
        store.delete(DEAD_LETTERS)
        store.lpush(DEAD_LETTERS, letter())
        async with forwarder(settings_for(**settings)):
            await asyncio.sleep(2.5)
            assert places(store)["dead"] == 1

    asyncio.run(scenario(moog_dlq_replay_max=0))
    store.set("mutt:replay:moog:lock", "somebody")
    asyncio.run(scenario())
    assert moogsoft.requests == []
