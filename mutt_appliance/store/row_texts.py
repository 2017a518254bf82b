"""Rows as JSON texts, as row_to_json gives them, back into a table."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.sql import SQL, Identifier

from mutt_appliance.store.queries import query


def table_columns(conn: Connection, table: str) -> list[str]:
    """Columns of a table, in order; raises psycopg2.Error when there is none of that name."""
    with conn.cursor() as cursor:
        cursor.execute(query("table_columns"), (table,))
        return [name for (name,) in cursor.fetchall()]


def insert_row_texts(cursor: Cursor, table: str, columns: Sequence[str], rows: Sequence[str]) -> int:
    """Insert rows, only these `columns` of them; returns how many were not there yet.

    A column that a row lacks is NULL, one that is not in `columns` has its default. Raises psycopg2.Error.
    """
    names = SQL(", ").join(map(Identifier, columns))
    statement = SQL(query("insert_row_texts")).format(table=Identifier(table), columns=names)
    cursor.execute(statement, ("[" + ",".join(rows) + "]",))
    return int(cursor.rowcount)
