"""Makes a backup in one snapshot of PostgreSQL, with the dynamic settings that belong to it."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import IO, Any, Final

import orjson
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Identifier

from mutt_appliance.backup.contents import (
    AUDIT,
    AUDIT_FOLDER,
    HISTORY,
    KEPT,
    SETTINGS,
    TABLES,
    BackupError,
    Manifest,
    member_of,
)
from mutt_appliance.backup.files import BackupWriter
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import text
from mutt_appliance.store.queries import query
from mutt_appliance.store.streaming import texts

AUDIT_CHUNKS: Final = 25
"""Chunks of rows in one member: 50,000 rows, some 40 MB, which is what is in memory at a time."""
ATTEMPTS: Final = 5


def make_backup(
    conn: Connection,
    client: redis.Redis,
    keys: KeySpace,
    stream: IO[bytes],
    *,
    with_audit: bool,
    report: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Write a backup to `stream`. Raises BackupError, psycopg2.Error, redis.RedisError, OSError."""
    settings = _settings_with_snapshot(conn, client, keys)
    with conn.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        ((database,),) = cursor.fetchall()
        cursor.execute(query("applied_migrations"))
        migrations = tuple(sorted(name for (name,) in cursor.fetchall()))
    writer = BackupWriter(stream)
    for table, key in (*((table.name, table.key) for table in TABLES), *((name, "id") for name in KEPT)):
        rows = list(itertools.chain.from_iterable(texts(conn, table_rows(table, key))))
        writer.add(member_of(table), as_lines(rows))
    writer.add(SETTINGS, orjson.dumps(settings, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
    if with_audit:
        count = 0
        for number, rows in enumerate(_audit_members(conn), start=1):
            writer.add(f"{AUDIT_FOLDER}{number:06}.ndjson", as_lines(rows))
            count += len(rows)
            report(f"{count} rows of the audit log")
    conn.commit()
    return writer.close(
        lambda members: Manifest(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            host=socket.gethostname(),
            database=database,
            migrations=migrations,
            members=members,
        )
    )


def as_lines(rows: list[str]) -> bytes:
    """Rows as NDJSON."""
    return "".join(f"{row}\n" for row in rows).encode()


def table_rows(table: str, key: str) -> SQL | Any:
    """The statement that has every row of a table as JSON, in the order of its key."""
    return SQL(query("table_rows")).format(table=Identifier(table), key=Identifier(key))


def stored_documents(client: redis.Redis, keys: KeySpace) -> dict[str, Any]:
    """Dynamic settings as they are stored, by name; what is none of MUTT's making is left out, as everywhere."""
    found: dict[Any, Any] = client.hgetall(keys.config)
    documents = {}
    for name, raw in found.items():
        try:
            document = orjson.loads(raw)
        except orjson.JSONDecodeError:
            continue
        if isinstance(document, dict) and isinstance(document.get("version"), int):
            documents[text(name)] = document
    return documents


def _settings_with_snapshot(conn: Connection, client: redis.Redis, keys: KeySpace) -> dict[str, Any]:
    """Begin the snapshot at a moment at which nobody changes a dynamic setting, which lie in the other store."""
    for _ in range(ATTEMPTS):
        before = stored_documents(client, keys)
        with conn.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # The first statement takes the snapshot.
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (HISTORY,))
            if not cursor.fetchall()[0][0]:
                raise BackupError("the database has no schema of MUTT: start the appliance, or mutt migrate")
        if stored_documents(client, keys) == before:
            return before
        conn.rollback()
    raise BackupError("dynamic settings are changed all the time: try again")


def _audit_members(conn: Connection) -> Iterator[list[str]]:
    chunks = texts(conn, SQL(query("unordered_rows")).format(table=Identifier(AUDIT)))
    while rows := list(itertools.chain.from_iterable(itertools.islice(chunks, AUDIT_CHUNKS))):
        yield rows
