"""A migrated database of this test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.pool import Database
from mutt_appliance.store.prepare import prepare_database

SECRETS = Secrets(db_pass="unused-password")


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings whose database has the whole schema."""
    made = make_settings()
    prepare_database(made, SECRETS, "test", patience_secs=10, stop=threading.Event())
    return made


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    pool = Database(settings, SECRETS, "mutt test")
    yield pool
    pool.close()


@pytest.fixture
def conn(settings: Settings) -> Iterator[Connection]:
    """A connection beside the pool, to look at what was done."""
    connection = connect(settings, SECRETS, "mutt test look")
    connection.autocommit = True
    yield connection
    connection.close()
