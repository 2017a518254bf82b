"""Dynamic settings on a real Redis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing import dynamic
from mutt_appliance.queueing.changes import tell
from mutt_appliance.queueing.client import async_client
from mutt_appliance.queueing.dynamic import NO_VALUE, LiveSettings, Stored, all_stored, change
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings
from tests.support.waiting import wait_until


def store(
    settings: Settings, name: str, value: object, if_version: int | None = None, *, quiet: bool = False
) -> tuple[Stored, Stored] | None:
    async def go() -> tuple[Stored, Stored] | None:
        client, keys = async_client(settings, Secrets(), "test"), KeySpace(settings)
        try:
            done = await change(client, keys, name, value, if_version)
            if not quiet:
                await tell(client, keys, "config")
            return done
        finally:
            await client.aclose()

    return asyncio.run(go())


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def live(client: redis.Redis, settings: Settings, stopping: threading.Event) -> LiveSettings:
    made = LiveSettings(settings, client, KeySpace(settings))
    made.start(stopping)
    return made


def test_a_value_has_a_version_and_whoever_read_an_older_one_is_refused(settings: Settings) -> None:
    assert store(settings, "moog_rate_limit", 10, 0) == (Stored(), Stored(1, 10))
    assert store(settings, "moog_rate_limit", 20, 0) is None
    assert store(settings, "moog_rate_limit", 20, 1) == (Stored(1, 10), Stored(2, 20))
    assert store(settings, "moog_rate_limit", NO_VALUE) == (Stored(2, 20), Stored(3))
    assert store(settings, "moog_rate_limit", 5, 3) == (Stored(3), Stored(4, 5))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"x", b'{"version":"y"}', b"7"])
def test_what_nobody_of_us_wrote_counts_as_not_changed(
    settings: Settings, client: redis.Redis, raw: bytes
) -> None:
    client.hset(KeySpace(settings).config, "moog_rate_limit", raw)
    assert all_stored({b"moog_rate_limit": raw}) == {"moog_rate_limit": Stored()}
    assert store(settings, "moog_rate_limit", 10) == (Stored(), Stored(1, 10))


def test_a_process_has_the_new_value_with_the_word_of_it(
    settings: Settings, client: redis.Redis, stopping: threading.Event
) -> None:
    store(settings, "moog_rate_limit", 10)
    mine = live(client, settings, stopping)
    assert mine.current.moog_rate_limit == 10
    store(settings, "moog_rate_limit", 20)
    wait_until(lambda: mine.current.moog_rate_limit == 20, 5, "the word arrives")
    store(settings, "moog_rate_limit", NO_VALUE)
    wait_until(lambda: mine.current == settings, 5, "the default is back")


def test_a_missed_word_does_no_lasting_harm(
    settings: Settings, client: redis.Redis, stopping: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamic, "LOOK_SECS", 0.2)
    mine = live(client, settings, stopping)
    store(settings, "moog_rate_limit", 20, quiet=True)
    wait_until(lambda: mine.current.moog_rate_limit == 20, 5, "it is read anyhow")


def test_a_bad_value_in_redis_leaves_the_default(
    settings: Settings, client: redis.Redis, stopping: threading.Event
) -> None:
    store(settings, "moog_rate_limit", "many")
    store(settings, "moog_max_retries", 7)
    mine = live(client, settings, stopping)
    assert (mine.current.moog_rate_limit, mine.current.moog_max_retries) == (settings.moog_rate_limit, 7)


def test_switched_off_the_environment_stands(
    make_settings: MakeSettings, client: redis.Redis, stopping: threading.Event
) -> None:
    settings = make_settings(dynamic_config_enabled=False)
    store(settings, "moog_rate_limit", 10)
    mine = live(client, settings, stopping)
    assert mine.current is settings
