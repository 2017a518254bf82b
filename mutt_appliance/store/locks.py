"""Advisory locks of PostgreSQL: one for each thing that only one process may do at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import IntEnum

from psycopg2.extensions import connection as Connection  # noqa: N812

# The first half of each lock's key: "MUTT" in ASCII. sql/0002 uses the second lock by these numbers.
LOCK_CLASS = 1297437780


class Lock(IntEnum):
    """The second half of the key."""

    MIGRATION = 1
    PARTITIONS = 2
    MAINTENANCE = 3


@contextlib.contextmanager
def try_lock(conn: Connection, lock: Lock) -> Iterator[bool]:
    """Take `lock` for the block if nobody holds it; yields whether it was taken.

    The lock belongs to the session, so a process that dies gives it back. `conn` is left outside a transaction.
    """
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, lock))
        taken = bool(cursor.fetchall()[0][0])
    conn.commit()
    try:
        yield taken
    finally:
        if taken and not conn.closed:
            conn.rollback()
            with conn.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_CLASS, lock))
            conn.commit()
