"""A clean Redis, its keys, and workers on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.events import EventQueue
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import Lease
from tests.conftest import MakeSettings

MakeWorker = Callable[..., EventQueue]


@pytest.fixture
def database_name() -> str:
    """None of these tests has to do with PostgreSQL."""
    return "none"


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings on real, empty stores."""
    return make_settings()


@pytest.fixture
def keys(settings: Settings) -> KeySpace:
    """The keys of these settings."""
    return KeySpace(settings)


@pytest.fixture
def worker(client: redis.Redis, keys: KeySpace) -> MakeWorker:
    """Makes a registered worker of the ingest queue."""

    def make(name: str = "w1", run_id: str = "run1", ttl_ms: int = 30_000) -> EventQueue:
        queue = EventQueue(client, keys, Lease(keys.events, name, run_id, ttl_ms))
        queue.register()
        return queue

    return make
