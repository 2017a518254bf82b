"""Command lines of the embedded servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.supervisor.postgres_server import postgres_options
from mutt_appliance.supervisor.programs import ProgramError, run_as
from mutt_appliance.supervisor.redis_server import redis_program


def test_postgres_has_a_connection_for_every_pool_of_every_process() -> None:
    settings = Settings(alerter_workers=8, db_pool_max_conn=10)
    options = postgres_options(settings, Path("/d"), Path("/s"))
    [connections] = [int(o.partition("=")[2]) for o in options if o.startswith("max_connections=")]
    assert connections >= 10 * (8 + 2) + 20


def test_a_socket_folder_with_a_comma_is_one_folder() -> None:
    options = postgres_options(Settings(), Path("/d"), Path("/odd, but allowed"))
    assert 'unix_socket_directories="/odd, but allowed"' in options


def test_data_of_redis_7_is_not_opened_by_redis_6(short_tmp_path: Path) -> None:
    old = short_tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.7 sha=00000000:0'\n")
    old.chmod(0o755)
    settings = Settings(
        mutt_data_dir=short_tmp_path / "data",
        mutt_runtime_dir=short_tmp_path / "run",
        embedded_redis_server=old,
    )
    redis_program(settings, run_as(None))
    (short_tmp_path / "data/redis/appendonlydir").mkdir()
    with pytest.raises(ProgramError, match=r"is Redis 6, but .*data/redis was written by Redis 7"):
        redis_program(settings, run_as(None))
