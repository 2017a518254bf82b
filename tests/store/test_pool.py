"""The connection pool against a PostgreSQL that goes away."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store import pool as pool_module
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.pool import Database
from tests.conftest import Stores
from tests.support.servers import PostgresServer
from tests.support.waiting import free_port, wait_until

SECRETS = Secrets(db_pass="s3cret-of-the-test")
MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_pool(make_settings: MakeSettings) -> Iterator[Callable[..., Database]]:
    pools: list[Database] = []

    def make(**overrides: object) -> Database:
        pools.append(Database(make_settings(**overrides), SECRETS, "mutt pool-test"))
        return pools[-1]

    yield make
    for each in pools:
        each.close()


def ask(database: Database, sql: str) -> object:
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()[0][0] if cursor.description else None


def backend_pid(database: Database) -> int:
    with database.connection() as conn:
        return conn.info.backend_pid


def connections(stores: Stores, database: Database) -> int:
    ((count,),) = stores.postgres.execute(
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database.settings.db_name}'"
    )
    assert isinstance(count, int)
    return count


def test_a_connection_is_used_again(make_pool: Callable[..., Database]) -> None:
    database = make_pool()
    assert backend_pid(database) == backend_pid(database)


def test_a_session_has_its_name_utc_and_its_timeout(make_pool: Callable[..., Database]) -> None:
    database = make_pool(db_statement_timeout=1.5)
    assert ask(database, "SELECT current_setting('application_name')") == "mutt pool-test"
    assert ask(database, "SELECT current_setting('timezone')") == "UTC"
    assert ask(database, "SELECT current_setting('statement_timeout')") == "1500ms"


@pytest.mark.parametrize(
    ("wanted", "in_session"), [("on", "on"), ("remote_apply", "remote_apply"), ("server", "off")]
)
def test_a_commit_waits_for_the_disk_whatever_the_server_s_default_is(
    make_pool: Callable[..., Database], wanted: str, in_session: str
) -> None:
    database = make_pool(db_synchronous_commit=wanted)
    assert ask(database, "SELECT current_setting('synchronous_commit')") == in_session


def test_the_end_of_the_block_commits_and_an_error_rolls_back(make_pool: Callable[..., Database]) -> None:
    database = make_pool()
    ask(database, "CREATE TABLE t (a int)")

    def insert_and_fail() -> float:
        with database.connection() as conn, conn.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (1)")
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        insert_and_fail()
    ask(database, "INSERT INTO t VALUES (2)")
    assert ask(database, "SELECT array_agg(a) FROM t") == [2]


def test_autocommit_lasts_for_its_block_only(make_pool: Callable[..., Database]) -> None:
    database = make_pool()
    with database.connection(autocommit=True) as conn:
        assert conn.autocommit
    with database.connection() as conn:
        assert not conn.autocommit


def test_a_fault_of_the_statement_is_not_unavailability(make_pool: Callable[..., Database]) -> None:
    database = make_pool()
    before = backend_pid(database)
    with pytest.raises(psycopg2.errors.DivisionByZero):
        ask(database, "SELECT 1/0")
    assert backend_pid(database) == before


def test_a_statement_timeout_is_unavailability_and_keeps_the_connection(
    make_pool: Callable[..., Database],
) -> None:
    database = make_pool(db_statement_timeout=0.1)
    before = backend_pid(database)
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        ask(database, "SELECT pg_sleep(30)")
    assert backend_pid(database) == before


def test_idle_connections_cut_by_a_restart_are_not_handed_out(
    make_pool: Callable[..., Database], stores: Stores
) -> None:
    database = make_pool()
    with database.connection(), database.connection():
        pass
    stores.postgres.restart()
    assert ask(database, "SELECT 1") == 1
    assert connections(stores, database) == 1


def test_a_connection_cut_in_use_is_unavailability_and_the_next_one_works(
    make_pool: Callable[..., Database],
) -> None:
    database = make_pool()
    with pytest.raises(StoreUnavailable, match=r"terminating connection|server closed the connection"):
        ask(database, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert ask(database, "SELECT 1") == 1


def test_a_stopped_server_is_unavailability_without_the_password(
    make_pool: Callable[..., Database], stores: Stores
) -> None:
    database = make_pool()
    stores.postgres.stop()
    try:
        with pytest.raises(StoreUnavailable) as caught:
            ask(database, "SELECT 1")
    finally:
        stores.postgres.start()
    text = f"{caught.value!r} {caught.value.__cause__!r} {database!r}"
    assert str(stores.postgres.folder) in text
    assert SECRETS.db_pass not in text
    assert ask(database, "SELECT 1") == 1


def test_a_frozen_server_costs_no_more_than_the_connect_timeout(
    make_pool: Callable[..., Database], stores: Stores
) -> None:
    database = make_pool(db_connect_timeout=2)
    stores.postgres.pause()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="timeout"):
            ask(database, "SELECT 1")
        assert time.monotonic() - began < 6
    finally:
        stores.postgres.resume()
    assert ask(database, "SELECT 1") == 1


def test_a_server_that_freezes_under_a_statement_costs_its_time_and_no_more(
    make_pool: Callable[..., Database], stores: Stores
) -> None:
    database = make_pool(db_statement_timeout=1, db_connect_timeout=2)
    ask(database, "SELECT 1")
    stores.postgres.pause()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="no answer within 3 s, so the connection was given up"):
            ask(database, "SELECT 1")
        assert 2.9 < time.monotonic() - began < 4
    finally:
        stores.postgres.resume()
    assert ask(database, "SELECT 1") == 1


def test_a_server_that_freezes_before_the_commit_costs_no_more_either(
    make_pool: Callable[..., Database], stores: Stores
) -> None:
    database = make_pool(db_statement_timeout=1, db_connect_timeout=2)

    def freeze_in_between() -> None:
        with database.connection() as conn, conn.cursor() as cursor:
            cursor.execute("SELECT 1")
            stores.postgres.pause()

    try:
        with pytest.raises(StoreUnavailable, match="given up"):
            freeze_in_between()
    finally:
        stores.postgres.resume()
    assert ask(database, "SELECT 1") == 1


def test_a_block_of_many_statements_may_take_longer_than_one_of_them(
    make_pool: Callable[..., Database], stores: Stores
) -> None:
    database = make_pool(db_statement_timeout=1)
    with database.connection() as conn, conn.cursor() as cursor:
        conn.patience_secs = 0.5
        for _ in range(4):
            cursor.execute("SELECT pg_sleep(0.3)")
    assert not conn.given_up


def test_a_connection_whose_server_became_read_only_is_not_handed_out_again(
    make_pool: Callable[..., Database],
) -> None:
    database = make_pool()
    ask(database, "CREATE TABLE t (a int)")
    before = backend_pid(database)
    with pytest.raises(StoreUnavailable, match="read-only transaction"):
        ask(database, "SET default_transaction_read_only = on; COMMIT; INSERT INTO t VALUES (1)")
    assert backend_pid(database) != before
    ask(database, "INSERT INTO t VALUES (2)")


def test_after_a_reload_no_connection_outlives_its_present_use(make_pool: Callable[..., Database]) -> None:
    database = make_pool()
    with database.connection() as lent:
        idle = backend_pid(database)
        database.use_secrets(SECRETS)
        with lent.cursor() as cursor:
            cursor.execute("SELECT 1")
        held = lent.info.backend_pid
    assert backend_pid(database) not in {idle, held}


def test_a_full_pool_makes_threads_wait_for_their_turn(make_pool: Callable[..., Database]) -> None:
    database = make_pool(db_pool_max_conn=2)
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(database, "SELECT pg_sleep(0.02)::text")))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 20


def test_a_pool_that_stays_full_says_what_to_raise(make_pool: Callable[..., Database]) -> None:
    database = make_pool(db_pool_max_conn=2, db_connect_timeout=2)
    with database.connection(), database.connection():
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="raise DB_POOL_MAX_CONN"), database.connection():
            pass
        assert time.monotonic() - began >= 1.9
    assert ask(database, "SELECT 1") == 1


def test_connections_above_the_minimum_are_closed_when_long_idle(
    make_pool: Callable[..., Database], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECS", -1.0)
    database = make_pool(db_pool_min_conn=1, db_pool_max_conn=5)
    with database.connection(), database.connection(), database.connection():
        pass
    wait_until(lambda: connections(stores, database) == 1, message="the others are closed")


def test_closing_closes_idle_and_lent_connections(make_pool: Callable[..., Database], stores: Stores) -> None:
    database = make_pool()
    with database.connection():
        with database.connection():
            pass
        database.close()
    wait_until(lambda: connections(stores, database) == 0, message="all are closed")


@pytest.fixture(scope="module")
def tls_server() -> Iterator[tuple[PostgresServer, Path]]:
    """A PostgreSQL on TCP that takes TLS only, with a certificate for 127.0.0.1, and its CA."""
    server = PostgresServer(port=free_port())
    key, certificate = server.folder / "server.key", server.folder / "server.crt"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mutt-test "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    owner = server.folder.stat()
    for path in (key, certificate):
        path.chmod(0o600)
        os.chown(path, owner.st_uid, owner.st_gid)
    ca = server.folder / "ca.pem"
    ca.write_bytes(certificate.read_bytes())
    rules = server.folder / "hba.conf"
    rules.write_text("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
    rules.chmod(0o644)
    for name, value in {
        "ssl": "on",
        "ssl_key_file": key,
        "ssl_cert_file": certificate,
        "hba_file": rules,
    }.items():
        server._options += ("-c", f"{name}={value}")
    try:
        server.start()
        yield server, ca
    finally:
        server.close()


def test_tls_with_the_right_ca_works(
    tls_server: tuple[PostgresServer, Path], make_settings: MakeSettings
) -> None:
    server, ca = tls_server
    settings = make_settings(
        db_host="127.0.0.1", db_port=server.port, db_name="postgres", db_tls_ca_cert_path=ca
    )
    database = Database(settings, SECRETS, "mutt test")
    assert ask(database, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
    assert backend_pid(database) == backend_pid(database)
    database.close()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"db_tls_ca_cert_path": None}, "certificate verify failed|unregistered scheme"),
        ({"db_host": "localhost"}, "does not match host name"),
    ],
)
def test_tls_that_cannot_be_verified_is_no_connection(
    tls_server: tuple[PostgresServer, Path], make_settings: MakeSettings, changes: dict[str, object], why: str
) -> None:
    server, ca = tls_server
    base = {"db_host": "127.0.0.1", "db_port": server.port, "db_name": "postgres", "db_tls_ca_cert_path": ca}
    database = Database(make_settings(**{**base, **changes}), SECRETS, "mutt test")
    with pytest.raises(StoreUnavailable, match=why):
        ask(database, "SELECT 1")
