"""Connections whose statements end on our side too, however silent the server is.

statement_timeout is the server's own clock, and a stopped PostgreSQL on a living machine still has its kernel
acknowledge what we send: neither it nor tcp_user_timeout ends that wait. One thread of each process looks at the
statements under way and shuts down the socket of one that is past its time; libpq, which waits for it in C,
sees the end of the connection and says so.

psycopg2's wait callback would end a wait as well, but there is one for the whole process, it makes libpq
ignore connect_timeout, which is what brings us from a dead host to the next, and it costs each statement more.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

TICK_SECS = 0.25
"""A statement is given up at most so much too late."""


class BoundedConnection(connection):
    """A connection that is given up when one of its statements takes longer than `patience_secs` (None: never)."""

    patience_secs: float | None = None
    given_up = False
    server: tuple[str, int] | None = None
    _due: float | None = None
    _release: Callable[[], object] | None = None

    def watch(self, patience_secs: float) -> None:
        """From now on no statement may take longer."""
        self.patience_secs = patience_secs
        # A descriptor of our own: libpq may close its one at any time, and the number may be another file's then.
        descriptor = os.dup(self.fileno())
        self._release = weakref.finalize(self, os.close, descriptor)
        self._descriptor = descriptor
        _watchdog.watch(self)

    def commit(self) -> None:
        """As psycopg2's, in time."""
        self.in_time(super().commit)

    def rollback(self) -> None:
        """As psycopg2's, in time."""
        self.in_time(super().rollback)

    def close(self) -> None:
        """As psycopg2's; may be called again."""
        super().close()
        with _watchdog.lock:
            if self._release is not None:
                self._release()
                self._release = None

    def in_time(self, work: Callable[..., Any], *args: Any) -> None:
        """`work(*args)`, which asks the server something; raises OperationalError when that took too long."""
        if self.patience_secs is not None:
            self._due = time.monotonic() + self.patience_secs
        try:
            work(*args)
        except psycopg2.Error as error:
            if not self.given_up:
                raise
            raise psycopg2.OperationalError(
                f"no answer within {self.patience_secs:g} s, so the connection was given up"
            ) from error
        finally:
            self._due = None

    def give_up_if_late(self, now: float) -> None:
        """End the wait of the thread that waits for too long. The watchdog calls it, with its lock held."""
        due = self._due
        if due is None or now < due or self._release is None:
            return
        self.given_up = True
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as ours:
            ours.shutdown(socket.SHUT_RDWR)


class BoundedCursor(cursor):
    """The cursor of such a connection."""

    connection: BoundedConnection

    def execute(self, query: Any, vars: Any = None) -> None:
        """As psycopg2's, in time."""
        self.connection.in_time(super().execute, query, vars)


class _Watchdog:
    """Looks at every connection of the process while there are any."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._watched: weakref.WeakSet[BoundedConnection] = weakref.WeakSet()
        self._started = False

    def watch(self, conn: BoundedConnection) -> None:
        with self.lock:
            self._watched.add(conn)
            if not self._started:
                self._started = True
                threading.Thread(target=self._loop, name="database watchdog", daemon=True).start()

    def _loop(self) -> None:
        while True:
            time.sleep(TICK_SECS)
            now = time.monotonic()
            with self.lock:
                for conn in self._watched:
                    conn.give_up_if_late(now)


_watchdog = _Watchdog()
