"""Fixtures: an appliance for a whole module, and one that a test starts with variables of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Stores
from tests.support.line import Line, running_line


@pytest.fixture(scope="module")
def line(stores: Stores, request: pytest.FixtureRequest) -> Iterator[Line]:
    """One appliance for all tests of a module, with the variables in its `ENVIRONMENT`, if it has one."""
    with running_line(stores, **getattr(request.module, "ENVIRONMENT", {})) as running:
        yield running


@pytest.fixture
def start_line(stores: Stores) -> Iterator[Callable[..., Line]]:
    """Starts an appliance of its own for a test, with the variables given."""
    with ExitStack() as stack:
        yield lambda **env: stack.enter_context(running_line(stores, **env))
