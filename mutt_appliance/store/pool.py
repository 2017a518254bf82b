"""A small pool of connections for threads, which never hands out one that is known to be broken."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import psycopg2

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.bounded import BoundedConnection
from mutt_appliance.store.connecting import Connector, Which, address_in_words
from mutt_appliance.store.errors import StoreUnavailable, as_unavailable, is_wrong_server

IDLE_SECS = 60.0
"""A connection above DB_POOL_MIN_CONN that was not needed for this long is closed."""


class Database:
    """The PostgreSQL of this appliance, for one process; connects when it is first needed.

    `name` is what PostgreSQL shows in pg_stat_activity, such as "mutt alerter:0". `password_used` is told at
    each new connection whether DB_PASS or DB_PASS_NEXT let us in.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        name: str,
        password_used: Callable[[Which], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self._connector = Connector(settings, secrets, name, password_used)
        self._idle: deque[tuple[BoundedConnection, float]] = deque()
        self._lent: dict[BoundedConnection, int] = {}
        self._generation = 0
        self._lock = threading.Lock()
        self._permits = threading.BoundedSemaphore(settings.db_pool_max_conn)
        self._closed = False

    def __repr__(self) -> str:
        return f"<Database {address_in_words(self.settings)}>"

    def use_secrets(self, secrets: Secrets) -> None:
        """Take new passwords, and certificates as the files have them now; no connection outlives its present use.

        So it shows at once, not at the next restart of PostgreSQL, whether they are right.
        """
        self._connector.use_secrets(secrets)
        with self._lock:
            self._generation += 1
        self._drop_idle()

    @contextlib.contextmanager
    def connection(self, *, autocommit: bool = False) -> Iterator[BoundedConnection]:
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
            except StoreUnavailable as error:
                if is_wrong_server(error.__cause__):
                    conn.close()
                raise
            finally:
                self._give_back(conn)
        finally:
            self._permits.release()

    def close(self) -> None:
        """Close the idle connections; lent ones are closed as they come back."""
        self._closed = True
        self._drop_idle()

    def _checkout(self) -> BoundedConnection:
        generation = self._generation
        conn = self._idle_one() or self._connector.connect()
        with self._lock:
            self._lent[conn] = generation
        return conn

    def _idle_one(self) -> BoundedConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                conn, _ = self._idle.pop()
            if _is_quiet(conn):
                return conn
            # The server went away; the other idle connections were to the same one.
            conn.close()
            self._drop_idle()

    def _give_back(self, conn: BoundedConnection) -> None:
        with contextlib.suppress(psycopg2.Error):
            conn.rollback()
        if conn.closed:
            self._connector.distrust(conn)
            self._drop_idle()
        now = time.monotonic()
        unwanted = []
        with self._lock:
            if self._lent.pop(conn) != self._generation or conn.closed or self._closed:
                unwanted.append(conn)
            else:
                self._idle.append((conn, now))
            while len(self._idle) > self.settings.db_pool_min_conn and now - self._idle[0][1] > IDLE_SECS:
                unwanted.append(self._idle.popleft()[0])
        for each in unwanted:
            each.close()

    def _drop_idle(self) -> None:
        with self._lock:
            dropped = [conn for conn, _ in self._idle]
            self._idle.clear()
        for conn in dropped:
            conn.close()


def _is_quiet(conn: BoundedConnection) -> bool:
    """False when the connection is closed or the server has said something unasked: its farewell."""
    if conn.closed:
        return False
    watch = select.poll()
    watch.register(conn.fileno(), select.POLLIN)
    return not watch.poll(0)
