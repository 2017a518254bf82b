"""A small pool of connections for threads, which never hands out one that is known to be broken."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections import deque
from collections.abc import Iterator

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import address_in_words, connect
from mutt_appliance.store.errors import StoreUnavailable, as_unavailable

IDLE_SECS = 60.0
"""A connection above DB_POOL_MIN_CONN that was not needed for this long is closed."""


class Database:
    """The PostgreSQL of this appliance, for one process; connects when it is first needed.

    `name` is what PostgreSQL shows in pg_stat_activity, such as "mutt alerter:0".
    """

    def __init__(self, settings: Settings, secrets: Secrets, name: str) -> None:
        self.settings = settings
        self._secrets = secrets
        self._name = name
        self._idle: deque[tuple[Connection, float]] = deque()
        self._lock = threading.Lock()
        self._permits = threading.BoundedSemaphore(settings.db_pool_max_conn)
        self._closed = False

    def __repr__(self) -> str:
        return f"<Database {address_in_words(self.settings)}>"

    def use_secrets(self, secrets: Secrets) -> None:
        """Take a new password for the connections made from now on."""
        self._secrets = secrets

    @contextlib.contextmanager
    def connection(self, *, autocommit: bool = False) -> Iterator[Connection]:
        """Lend a connection: committed at the end of the block, rolled back when it raises.

        Waits up to DB_CONNECT_TIMEOUT for a free one. What the database cannot do now, the commit
        included, is raised as StoreUnavailable; faults of the statements stay psycopg2's errors.
        """
        if not self._permits.acquire(timeout=self.settings.db_connect_timeout):
            raise StoreUnavailable(
                f"{address_in_words(self.settings)}: all {self.settings.db_pool_max_conn} connections are in use: "
                "raise DB_POOL_MAX_CONN"
            )
        try:
            conn = self._checkout()
            try:
                with as_unavailable(address_in_words(self.settings)):
                    if conn.autocommit != autocommit:
                        conn.autocommit = autocommit
                    yield conn
                    conn.commit()
            finally:
                self._give_back(conn)
        finally:
            self._permits.release()

    def close(self) -> None:
        """Close the idle connections; lent ones are closed as they come back."""
        self._closed = True
        self._drop_idle()

    def _checkout(self) -> Connection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                conn, _ = self._idle.pop()
            if _is_quiet(conn):
                return conn
            # The server went away; the other idle connections were to the same one.
            conn.close()
            self._drop_idle()
        return connect(self.settings, self._secrets, self._name)

    def _give_back(self, conn: Connection) -> None:
        with contextlib.suppress(psycopg2.Error):
            conn.rollback()
        if conn.closed:
            self._drop_idle()
            return
        if self._closed:
            conn.close()
            return
        now = time.monotonic()
        with self._lock:
            self._idle.append((conn, now))
            surplus = []
            while len(self._idle) > self.settings.db_pool_min_conn and now - self._idle[0][1] > IDLE_SECS:
                surplus.append(self._idle.popleft()[0])
        for old in surplus:
            old.close()

    def _drop_idle(self) -> None:
        with self._lock:
            dropped = [conn for conn, _ in self._idle]
            self._idle.clear()
        for conn in dropped:
            conn.close()


def _is_quiet(conn: Connection) -> bool:
    """False when the connection is closed or the server has said something unasked: its farewell."""
    if conn.closed:
        return False
    watch = select.poll()
    watch.register(conn.fileno(), select.POLLIN)
    return not watch.poll(0)
