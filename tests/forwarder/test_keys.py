"""Two keys for Moogsoft: which goes first, and what becomes of a request whose key was refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.keys import KeyChoice
from mutt_appliance.forwarder.sender import Sender
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.secret_use import KeyUse
from tests.support.moogsoft import Answer, Moogsoft

OLD, NEW = "key-old", "key-new"


def secrets(current: str, following: str = "") -> Secrets:
    return Secrets(moog_api_key=current, moog_api_key_next=following)


def sent(moogsoft: Moogsoft) -> list[tuple[str, int]]:
    """Key and status of each request that came."""
    return [(each.headers.get("x-api-key", ""), each.answer.status) for each in moogsoft.requests]


def posting(settings: Settings, work: Callable[[Sender], Any], given: Secrets) -> Any:
    async def run() -> Any:
        sender = Sender(settings, given, KeyUse("moog_api_key", given, ours=True))
        try:
            return await work(sender)
        finally:
            await sender.close()

    return asyncio.run(run())


@pytest.fixture
def settings(moogsoft: Moogsoft) -> Settings:
    return Settings.model_validate({"moog_webhook_url": moogsoft.url})


def test_the_key_that_worked_goes_on_being_sent_under_its_new_name() -> None:
    choice = KeyChoice(OLD, NEW).preferring("next")
    assert choice.renewed(NEW, "").preferred == "current"
    assert choice.renewed(OLD, NEW).preferred == "next"
    assert choice.renewed(NEW, "newer").preferred == "current"
    assert KeyChoice(OLD, NEW).renewed(NEW, "newer").preferred == "current"
    assert KeyChoice(OLD, OLD).other("current") is None
    assert NEW not in repr(choice)


def test_a_refused_key_costs_one_request_and_then_the_other_is_used(
    moogsoft: Moogsoft, settings: Settings
) -> None:
    moogsoft.api_key = NEW

    async def work(sender: Sender) -> list[str]:
        return [(await sender.post(b"{}")).kind for _ in range(3)]

    assert posting(settings, work, secrets(OLD, NEW)) == ["done"] * 3
    assert sent(moogsoft) == [(OLD, 401), (NEW, 200), (NEW, 200), (NEW, 200)]


def test_both_refused_is_final_and_the_order_stays(moogsoft: Moogsoft, settings: Settings) -> None:
    moogsoft.api_key = "another"

    async def work(sender: Sender) -> list[tuple[str, str]]:
        verdicts = [await sender.post(b"{}") for _ in range(2)]
        return [(verdict.kind, verdict.reason) for verdict in verdicts]

    assert posting(settings, work, secrets(OLD, NEW)) == [("dead", "http_401")] * 2
    assert [key for key, _ in sent(moogsoft)] == [OLD, NEW, OLD, NEW]


def test_an_error_that_came_past_the_door_tells_that_the_key_is_right(
    moogsoft: Moogsoft, settings: Settings
) -> None:
    moogsoft.api_key, moogsoft.answer = NEW, lambda _: Answer(503)

    async def work(sender: Sender) -> list[str]:
        return [(await sender.post(b"{}")).reason for _ in range(2)]

    assert posting(settings, work, secrets(OLD, NEW)) == ["http_503"] * 2
    assert sent(moogsoft) == [(OLD, 401), (NEW, 503), (NEW, 503)]


def test_promotion_and_a_way_back_need_no_second_request(moogsoft: Moogsoft, settings: Settings) -> None:
    async def work(sender: Sender) -> list[str]:
        kinds: list[str] = []
        for wanted, given in ((OLD, secrets(OLD, NEW)), (NEW, secrets(OLD, NEW)), (NEW, secrets(NEW))):
            moogsoft.api_key = wanted
            sender.use_secrets(given)
            kinds += [(await sender.post(b"{}")).kind for _ in range(2)]
        return kinds

    assert posting(settings, work, secrets(OLD)) == ["done"] * 6
    assert [status for _, status in sent(moogsoft)] == [200, 200, 401, 200, 200, 200, 200]


def test_without_leave_to_repeat_the_alert_is_tried_again_later(
    moogsoft: Moogsoft, settings: Settings
) -> None:
    moogsoft.api_key = NEW

    async def no() -> bool:
        return False

    async def work(sender: Sender) -> tuple[str, str]:
        verdict = await sender.post(b"{}", no)
        return verdict.kind, verdict.reason

    assert posting(settings, work, secrets(OLD, NEW)) == ("retry", "http_401")
    assert sent(moogsoft) == [(OLD, 401)]


def test_a_reload_between_two_attempts_does_not_mix_up_the_keys(
    moogsoft: Moogsoft, settings: Settings
) -> None:
    moogsoft.api_key = NEW

    async def work(sender: Sender) -> list[str]:
        async def reloaded() -> bool:
            sender.use_secrets(secrets(NEW))
            return True

        return [(await sender.post(b"{}", reloaded)).kind for _ in range(2)]

    assert posting(settings, work, secrets(OLD, NEW)) == ["done"] * 2
    assert sent(moogsoft) == [(OLD, 401), (NEW, 200), (NEW, 200)]
