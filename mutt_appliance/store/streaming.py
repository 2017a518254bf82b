"""Rows of any number out of the database, a chunk at a time, never all in memory.

A cursor of the server, because a statement then lasts no longer than a chunk: no timeout of statements is met, a
wish to stop is heard in between, and other threads of the process wait for Python once a chunk, not once a row.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Composable, Identifier

from mutt_appliance.store.errors import Stopped

CHUNK_ROWS = 2000
COUNTED_ROWS = 200_000


def chunks(
    conn: Connection,
    statement: str | Composable,
    values: Mapping[str, Any] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of `statement`, some at a time, in the transaction of `conn`. Raises psycopg2.Error, Stopped."""
    yield from _fetched(conn, statement, values, stop)


def texts(
    conn: Connection,
    statement: str | Composable,
    values: Mapping[str, Any] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[list[str]]:
    """As `chunks`, for a statement with one column of text."""
    for rows in _fetched(conn, statement, values, stop):
        yield [text for (text,) in rows]


def row_count(conn: Connection, table: str, stop: threading.Event | None = None) -> int:
    """How many rows there are; as slow as count(*), but in short statements."""
    with conn.cursor() as cursor:
        cursor.execute(
            SQL("DECLARE counted NO SCROLL CURSOR FOR SELECT FROM {table}").format(table=Identifier(table))
        )
        count = 0
        while True:
            _heed(stop)
            cursor.execute(f"MOVE FORWARD {COUNTED_ROWS} IN counted")
            count += cursor.rowcount
            if cursor.rowcount < COUNTED_ROWS:
                cursor.execute("CLOSE counted")
                return count


def _fetched(
    conn: Connection,
    statement: str | Composable,
    values: Mapping[str, Any] | None,
    stop: threading.Event | None,
) -> Iterator[list[tuple[Any, ...]]]:
    with conn.cursor() as cursor:
        declaration = SQL("DECLARE streamed NO SCROLL CURSOR FOR ")
        cursor.execute(declaration + (SQL(statement) if isinstance(statement, str) else statement), values)
        while True:
            _heed(stop)
            cursor.execute(f"FETCH FORWARD {CHUNK_ROWS} FROM streamed")
            rows = cursor.fetchall()
            if rows:
                yield rows
            if len(rows) < CHUNK_ROWS:
                cursor.execute("CLOSE streamed")
                return


def _heed(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped
