"""Fixtures shared by all tests: real stores, settings that point to them, children, an appliance."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from prometheus_client import values

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.metrics import secrets_in_use
from tests.support.certificates import Authority
from tests.support.children import ChildFactory
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import free_port

PORT_FIELDS = (
    "server_port_ingestor",
    "metrics_port_alerter",
    "health_port_alerter",
    "metrics_port_moog",
    "health_port_moog",
    "server_port_webui",
)
MakeSettings = Callable[..., Settings]
_database_numbers = itertools.count(1)


@dataclass(frozen=True)
class Stores:
    """The Redis and the PostgreSQL of a test session."""

    redis: RedisServer
    postgres: PostgresServer


def pytest_configure() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and every program below inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logs_as_at_the_start() -> Iterator[None]:
    """Commands set up logging for a whole process; what one test set up is none of the next one's business."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _metrics_in_a_folder_that_is_there() -> Iterator[None]:
    """A role that ran in this process left its metrics to the folder of its test, which is gone after it."""
    yield
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is not None and not Path(folder).exists():
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]
        values.ValueClass = values.MutexValue
        secrets_in_use.cache_clear()


@pytest.fixture(scope="session")
def stores() -> Iterator[Stores]:
    """One real Redis and one real PostgreSQL for the session; both quick and forgetful."""
    redis_server, postgres_server = RedisServer(), PostgresServer()
    try:
        redis_server.start()
        postgres_server.start()
        yield Stores(redis_server, postgres_server)
    finally:
        redis_server.close()
        postgres_server.close()


@pytest.fixture
def short_tmp_path() -> Iterator[Path]:
    """A folder that any user may enter, with a name short enough for Unix sockets below it."""
    folder = Path(tempfile.mkdtemp(prefix="mutt-t-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def authority(short_tmp_path: Path) -> Authority:
    """Issues certificates into a folder that the servers' user may enter."""
    folder = short_tmp_path / "tls"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def database_name(stores: Stores) -> Iterator[str]:
    """An empty database for this test; folders whose tests need none have a fixture of this name without one."""
    name = f"test_{next(_database_numbers)}"
    stores.postgres.create_database(name)
    yield name
    stores.postgres.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def make_settings(stores: Stores, database_name: str, short_tmp_path: Path) -> MakeSettings:
    """Factory of settings for this test: an empty Redis, an empty database, free ports.

    Every call in one test gives the same stores, database, folders and ports; keyword arguments override.
    """
    with stores.redis.client() as client:
        client.flushall()
    (short_tmp_path / "run" / "health").mkdir(parents=True)
    base: dict[str, Any] = {
        "redis_host": stores.redis.address,
        "db_host": stores.postgres.address,
        "db_port": stores.postgres.port,
        "db_name": database_name,
        "bind_address": "127.0.0.1",
        "mutt_runtime_dir": short_tmp_path / "run",
        "mutt_data_dir": short_tmp_path / "data",
        "mutt_secrets_file": short_tmp_path / "mutt.secrets",
        "moog_webhook_url": "http://127.0.0.1:9/moog",
        **{field: free_port() for field in PORT_FIELDS},
    }

    def make(**overrides: Any) -> Settings:
        return Settings.model_validate({**base, **overrides})

    return make


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    """A blocking client of the Redis of `settings`, a fixture of the tests that ask for this one."""
    made = blocking_client(settings, Secrets(), "test")
    yield made
    made.close()


@pytest.fixture
def child_for() -> Iterator[ChildFactory]:
    """Makes a real `Child` of a role in this process; `child_for.reports(child)` has what it told."""
    factory = ChildFactory()
    yield factory
    factory.close()
