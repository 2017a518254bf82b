"""Word of changes, on a real Redis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.changes import Change, ChangeListener, tell
from mutt_appliance.queueing.client import async_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from tests.conftest import Stores
from tests.support.waiting import wait_until


@pytest.fixture
def heard(client: redis.Redis, keys: KeySpace) -> Iterator[list[Change]]:
    """What a listener was told, in order; it begins with one word of everything."""
    words: list[Change] = []
    stopping = threading.Event()
    callbacks = {"rules": lambda: words.append("rules"), "config": lambda: words.append("config")}
    listener = ChangeListener(client, keys, callbacks, stopping)  # type: ignore[arg-type]
    listener.start()
    wait_until(lambda: len(words) == 2, message="it is connected")
    yield words
    stopping.set()


def say(settings: Settings, change: Change) -> int:
    """Tell, as the web UI does; how many heard it."""

    async def main() -> int:
        client = async_client(settings, Secrets(), "test")
        try:
            return await tell(client, KeySpace(settings), change)
        finally:
            await client.aclose()

    return asyncio.run(main())


def test_a_change_is_heard_by_its_name(settings: Settings, heard: list[Change]) -> None:
    assert say(settings, "config") == 1
    wait_until(lambda: heard[2:] == ["config"], message="it is heard")


def test_a_word_that_nobody_knows_is_none(
    settings: Settings, heard: list[Change], client: redis.Redis, keys: KeySpace
) -> None:
    client.publish(keys.changes, b"\xff other")
    say(settings, "rules")
    wait_until(lambda: heard[2:] == ["rules"], message="only the other is heard")


def test_after_a_lost_connection_everything_may_have_changed(
    settings: Settings, heard: list[Change], stores: Stores, client: redis.Redis
) -> None:
    client.client_kill_filter(_type="pubsub")
    wait_until(lambda: sorted(heard[2:]) == ["config", "rules"], message="it is connected again")
    say(settings, "rules")
    wait_until(lambda: len(heard) == 5, message="and hears")
