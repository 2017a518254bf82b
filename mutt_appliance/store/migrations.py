"""Brings the schema up to date with the files of sql/, once, however many appliances start at a time."""

from __future__ import annotations

import contextlib
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.migrations import default_migration_table

from mutt_appliance.config import Settings
from mutt_appliance.resources import resource_folder
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import MAINTENANCE_DATABASE, address_in_words, connect
from mutt_appliance.store.errors import SchemaError, StoreUnavailable, is_unavailable, reason
from mutt_appliance.store.queries import query
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("store.migrations")

DUPLICATE_DATABASE = "42P04"
UNIQUE_VIOLATION = "23505"
INSUFFICIENT_PRIVILEGE = "42501"
NEEDED_ENCODING = "UTF8"


def ensure_database(settings: Settings, secrets: Secrets, name: str) -> bool:
    """Create the database of the settings if the server has none of its name; True when it was created.

    Raises StoreUnavailable when the server cannot be reached, SchemaError when it will not create it.
    """
    try:
        connect(settings, secrets, name).close()
        return False
    except StoreUnavailable:
        # Connection errors have no code, and their texts are translated: look whether it is there.
        conn = connect(settings, secrets, name, MAINTENANCE_DATABASE)
        with contextlib.closing(conn), conn.cursor() as cursor:
            conn.autocommit = True
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (settings.db_name,))
            if cursor.rowcount:
                raise
            try:
                cursor.execute(query("create_database").format(name=quoted_name(settings.db_name)))
            except psycopg2.Error as error:
                return _not_created(settings, error)
    log.info("database created", database=settings.db_name)
    return True


def _not_created(settings: Settings, error: psycopg2.Error) -> bool:
    if error.pgcode in (DUPLICATE_DATABASE, UNIQUE_VIOLATION):
        return False  # another appliance was quicker
    if error.pgcode == INSUFFICIENT_PRIVILEGE:
        raise SchemaError(
            f"DB_NAME={settings.db_name}: there is no such database and {settings.db_user} may not create it: "
            f"run CREATE DATABASE {quoted_name(settings.db_name)} OWNER {quoted_name(settings.db_user)} "
            "ENCODING 'UTF8' TEMPLATE template0 as an administrator"
        ) from error
    raise StoreUnavailable(f"{address_in_words(settings)}: {reason(error)}") from error


def quoted_name(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def apply_migrations(conn: Connection, folder: Path | None = None) -> list[str]:
    """Apply the migrations that the database lacks, each in its own transaction; returns their names.

    The caller holds Lock.MIGRATION on `conn`, so a session that dies loses lock and migration together.
    Raises SchemaError naming the file that failed, or StoreUnavailable.
    """
    folder = folder or resource_folder("sql")
    conn.rollback()
    before = conn.autocommit
    conn.autocommit = True
    backend = _Backend(conn)
    try:
        _check_encoding(conn)
        migrations = read_migrations(str(folder))
        if not len(migrations):
            raise SchemaError(f"{folder}: holds no migrations: install MUTT again")
        _warn_of_unknown(backend, {migration.hash for migration in migrations})
        applied = []
        for migration in backend.to_apply(migrations):
            backend.current = migration.id
            backend.apply_one(migration)
            log.info("migration applied", migration=migration.id)
            applied.append(str(migration.id))
        return applied
    except psycopg2.Error as error:
        # What is missing or forbidden (42) does not come by waiting, here.
        if is_unavailable(error) and (error.pgcode or "")[:2] != "42":
            raise StoreUnavailable(f"migration stopped: {reason(error)}") from error
        where = f"{folder / backend.current}.sql" if backend.current else "table of migrations"
        remedy = (
            f": {conn.info.user} must own the schema: GRANT ALL ON SCHEMA public TO {quoted_name(conn.info.user)}"
            if error.pgcode == INSUFFICIENT_PRIVILEGE
            else ""
        )
        raise SchemaError(f"{where}: {reason(error)} (SQLSTATE {error.pgcode}){remedy}") from error
    finally:
        if not conn.closed:
            conn.autocommit = before


def _check_encoding(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_setting('server_encoding')")
        database, encoding = cursor.fetchall()[0]
    if encoding != NEEDED_ENCODING:
        raise SchemaError(
            f"database {database}: its encoding is {encoding}, messages need {NEEDED_ENCODING}: create it with "
            "ENCODING 'UTF8' TEMPLATE template0"
        )


def _warn_of_unknown(backend: _Backend, known: set[str]) -> None:
    unknown = set(backend.get_applied_migration_hashes()) - known
    if unknown:
        log.warning("the database was migrated by a newer MUTT", unknown_migrations=len(unknown))


class _Backend(PostgresqlBackend):  # type: ignore[misc]
    """yoyo on a connection that is already there: no URL with a password, and our own lock.

    yoyo's lock is a row, which a killed process leaves behind. And it applies a migration on one connection
    and marks it on another; here both are one transaction.
    """

    def __init__(self, conn: Connection) -> None:
        self.uri = SimpleNamespace(database=conn.info.dbname)
        self.DatabaseError = psycopg2.DatabaseError
        self._connection = conn
        self.migration_table = default_migration_table
        self.has_transactional_ddl = True
        self.current = ""

    def lock(self, timeout: float = 10) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        self.ensure_internal_schema_updated()
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.log_migration(migration, "apply")
            if mark:
                self.mark_one(migration, log=False)

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """As yoyo's, without a DNS query for our own name and without need of a passwd entry."""
        now = datetime.now(UTC)
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id,
            "migration_hash": migration.hash,
            "username": self.connection.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": now.replace(tzinfo=None),
            "operation": operation,
        }
