"""Migrations on real, empty databases."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.resources import resource_folder
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.errors import SchemaError, StoreUnavailable
from mutt_appliance.store.migrations import apply_migrations, ensure_database
from mutt_appliance.store.prepare import prepare_database
from tests.conftest import Stores

SECRETS = Secrets()
EXPECTED = sorted(path.stem for path in resource_folder("sql").glob("*.sql"))
MakeSettings = Callable[..., Settings]


def prepare_in_process(settings: Settings, start: object, results: object) -> None:
    """Body of one of two appliances that start at once."""
    start.wait()  # type: ignore[attr-defined]
    try:
        done = prepare_database(settings, SECRETS, "test", patience_secs=20, stop=threading.Event())
        results.put(list(done.migrations))  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - told to the parent, which fails on it
        results.put(repr(error))  # type: ignore[attr-defined]


@pytest.mark.parametrize("database_exists", [True, False])
def test_two_appliances_that_start_at_once_migrate_once(
    make_settings: MakeSettings, stores: Stores, database_exists: bool
) -> None:
    settings = make_settings()
    if not database_exists:
        stores.postgres.execute(f'DROP DATABASE "{settings.db_name}"')
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(2), spawn.Queue()
    processes = [
        spawn.Process(target=prepare_in_process, args=(settings, start, results), daemon=True)
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    outcomes = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(10)
    assert sorted(outcomes, key=len) == [[], EXPECTED]


def test_migrating_again_does_nothing(settings: Settings) -> None:
    done = prepare_database(settings, SECRETS, "test", patience_secs=5, stop=threading.Event())
    assert (done.database_created, done.migrations) == (False, ())


def test_each_migration_can_be_run_again_by_hand(settings: Settings, conn: Connection) -> None:
    with conn.cursor() as cursor:
        for path in sorted(resource_folder("sql").glob("*.sql")):
            cursor.execute(path.read_text(encoding="utf-8"))


def test_a_migration_that_fails_leaves_nothing_and_names_its_file(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE good (a int);")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE half (a int); SELECT no_such_column;")
    conn = connect(make_settings(), SECRETS, "test")
    with pytest.raises(SchemaError, match=r'0002_bad\.sql: column "no_such_column" does not exist'):
        apply_migrations(conn, tmp_path)
    with conn.cursor() as cursor:
        cursor.execute("SELECT to_regclass('good'), to_regclass('half')")
        assert cursor.fetchall() == [("good", None)]
    conn.rollback()
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE half (a int);")
    assert apply_migrations(conn, tmp_path) == ["0002_bad"]
    conn.close()


def test_a_session_killed_in_the_middle_leaves_nothing_behind(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings()
    (tmp_path / "0001_suicidal.sql").write_text(
        "CREATE TABLE half (a int);\nDO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$;"
    )
    conn = connect(settings, SECRETS, "test")
    with pytest.raises(StoreUnavailable):
        apply_migrations(conn, tmp_path)
    (tmp_path / "0001_suicidal.sql").write_text("CREATE TABLE half (a int);")
    conn = connect(settings, SECRETS, "test")
    assert apply_migrations(conn, tmp_path) == ["0001_suicidal"]
    conn.close()


def test_a_folder_without_migrations_is_an_error(make_settings: MakeSettings, tmp_path: Path) -> None:
    conn = connect(make_settings(), SECRETS, "test")
    with pytest.raises(SchemaError, match="holds no migrations"):
        apply_migrations(conn, tmp_path)
    conn.close()


def test_a_database_that_is_not_utf8_is_refused(make_settings: MakeSettings, stores: Stores) -> None:
    settings = make_settings()
    stores.postgres.execute(f'DROP DATABASE "{settings.db_name}"')
    stores.postgres.execute(f"CREATE DATABASE \"{settings.db_name}\" ENCODING 'LATIN1' TEMPLATE template0")
    conn = connect(settings, SECRETS, "test")
    with pytest.raises(SchemaError, match="its encoding is LATIN1"):
        apply_migrations(conn)
    conn.close()


def test_a_user_who_may_not_create_the_database_is_told_the_command(
    make_settings: MakeSettings, stores: Stores
) -> None:
    stores.postgres.execute("DROP ROLE IF EXISTS plain_user")
    stores.postgres.execute("CREATE ROLE plain_user LOGIN")
    settings = make_settings(db_user="plain_user", db_name="not_there")
    with pytest.raises(SchemaError, match=r'run CREATE DATABASE "not_there" OWNER "plain_user"'):
        ensure_database(settings, SECRETS, "test")


def test_a_user_who_may_not_make_tables_is_told_what_to_grant(
    make_settings: MakeSettings, stores: Stores
) -> None:
    stores.postgres.execute("DROP ROLE IF EXISTS plain_user")
    stores.postgres.execute("CREATE ROLE plain_user LOGIN")
    settings = make_settings(db_user="plain_user")
    stores.postgres.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", settings.db_name)
    with pytest.raises(SchemaError, match="GRANT ALL ON SCHEMA public"):
        prepare_database(settings, SECRETS, "test", patience_secs=5, stop=threading.Event())


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("('x', null, null, 'glob', 1, 'Suppress', 'Suppress')", "alert_rules_match_type_check"),
        ("('x', null, 8, 'contains', 1, 'Suppress', 'Suppress')", "alert_rules_syslog_severity_check"),
        ("('x', null, null, 'contains', 1, 'Page', 'Suppress')", "alert_rules_prod_handling_check"),
        ("('', '1.3', null, 'regex', 1, 'Suppress', 'Suppress')", "alert_rules_has_pattern"),
        ("(null, null, null, 'oid_prefix', 1, 'Suppress', 'Suppress')", "alert_rules_has_pattern"),
    ],
)
def test_the_database_refuses_a_rule_that_makes_no_sense(
    conn: Connection, statement: str, constraint: str
) -> None:
    columns = "match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling"
    with conn.cursor() as cursor, pytest.raises(psycopg2.errors.CheckViolation) as caught:
        cursor.execute(f"INSERT INTO alert_rules ({columns}) VALUES {statement}")
    assert caught.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    "table", ["development_hosts (hostname)", "device_teams (hostname, team_assignment)"]
)
def test_host_names_are_unique_whatever_their_case(conn: Connection, table: str) -> None:
    more = ", 'NETO'" if "team" in table else ""
    with conn.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES ('Router1'{more})")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute(f"INSERT INTO {table} VALUES ('ROUTER1'{more})")
