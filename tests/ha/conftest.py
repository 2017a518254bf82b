"""Stores and a receiver for appliances that are to survive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.moogsoft import Moogsoft
from tests.support.pipeline import Pipeline
from tests.support.servers import RedisServer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Everything entered here ends with the test, the last one first."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def pipeline(stack: ExitStack) -> Pipeline:
    """A Redis and a receiver; appliances are added by the test."""
    redis_server = RedisServer()
    stack.callback(redis_server.close)
    redis_server.start()
    return Pipeline(redis_server, stack.enter_context(Moogsoft()))
