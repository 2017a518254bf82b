"""From the settings to a connection: TCP with TLS, or a Unix socket; whichever server takes writes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Literal

import psycopg2

from mutt_appliance.config import Settings
from mutt_appliance.config.addresses import Address
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.bounded import TICK_SECS, BoundedConnection, BoundedCursor
from mutt_appliance.store.errors import StoreUnavailable, reason
from mutt_appliance.tls.trust import system_ca_bundle

MAINTENANCE_DATABASE = "postgres"
KEEPALIVES: dict[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
SILENCE_SECS = 2.0
"""So much longer than DB_STATEMENT_TIMEOUT an answer may take, for the server to cancel what it does and say so."""
# Connection errors have no SQLSTATE in psycopg2, and their texts are in the server's language; but libpq puts
# two blanks behind the severity of what a server said, and one into what it says itself.
_SAID_BY_SERVER = re.compile(r"(?m)^(?:.*failed: )?\S+:  ")

Which = Literal["current", "next"]


class Connector:
    """Makes the connections of one process: what worked last, host and password, is tried first.

    `password_used` is told whether DB_PASS or DB_PASS_NEXT let us in.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        application_name: str,
        password_used: Callable[[Which], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self._application_name = application_name
        self._password_used = password_used
        self._lock = threading.Lock()
        self._hosts = settings.db_hosts
        self.use_secrets(secrets)

    def use_secrets(self, secrets: Secrets) -> None:
        """Passwords for the connections made from now on, the current one first."""
        with self._lock:
            self._passwords = passwords(secrets)

    def connect(self, database: str | None = None) -> BoundedConnection:
        """One connection, ready for use. Raises StoreUnavailable, naming the address, when it cannot be had."""
        with self._lock:
            hosts, tried = self._hosts, self._passwords
        error: psycopg2.Error | None = None
        for which, password in tried:
            parameters = connection_parameters(
                self.settings, hosts, password, self._application_name, database
            )
            try:
                conn: BoundedConnection = psycopg2.connect(
                    **parameters, connection_factory=BoundedConnection, cursor_factory=BoundedCursor
                )
            except psycopg2.Error as failed:
                error = error or failed
                if not said_by_server(str(failed)):
                    break
            else:
                self._remember(conn, which)
                return self._made_ready(conn)
        raise StoreUnavailable(
            f"{address_in_words(self.settings)}: cannot connect to database {database or self.settings.db_name}: "
            f"{_every_reason(error)}"
        ) from error

    def distrust(self, conn: BoundedConnection) -> None:
        """This connection broke: its server is asked last, as it may be silent for as long as we wait for it."""
        with self._lock:
            self._hosts = tuple(sorted(self._hosts, key=lambda each: tuple(each) == conn.server))

    def _remember(self, conn: BoundedConnection, which: Which) -> None:
        conn.server = conn.info.host, conn.info.port
        with self._lock:
            # A stable sort: the one that let us in, then the others as they are written.
            self._hosts = tuple(sorted(self.settings.db_hosts, key=lambda each: tuple(each) != conn.server))
            self._passwords = tuple(sorted(self._passwords, key=lambda each: each[0] != which))
        self._password_used(which)

    def _made_ready(self, conn: BoundedConnection) -> BoundedConnection:
        conn.watch(self.settings.db_statement_timeout + SILENCE_SECS)
        session = {
            "timezone": "UTC",
            "statement_timeout": str(round(self.settings.db_statement_timeout * 1000)),
        }
        if self.settings.db_synchronous_commit != "server":
            session["synchronous_commit"] = self.settings.db_synchronous_commit
        try:
            # SET, not the `options` parameter, which PgBouncer refuses.
            with conn.cursor() as cursor:
                calls = ", ".join(["set_config(%s, %s, false)"] * len(session))
                cursor.execute(f"SELECT {calls}", [part for pair in session.items() for part in pair])
            conn.commit()
        except psycopg2.Error as error:
            conn.close()
            raise StoreUnavailable(f"{address_in_words(self.settings)}: {reason(error)}") from error
        return conn


def connect(
    settings: Settings, secrets: Secrets, application_name: str, database: str | None = None
) -> BoundedConnection:
    """One connection in UTC with the statement timeout of the settings, for who needs no other.

    Raises StoreUnavailable, naming the address, when it cannot be had.
    """
    return Connector(settings, secrets, application_name).connect(database)


def passwords(secrets: Secrets) -> tuple[tuple[Which, str], ...]:
    """The passwords to try, in order; an empty one is no password, which is tried only without any."""
    both: tuple[tuple[Which, str], ...] = (("current", secrets.db_pass), ("next", secrets.db_pass_next))
    given = tuple(each for each in both if each[1])
    if len(given) == 2 and given[0][1] == given[1][1]:
        return given[:1]
    return given or both[:1]


def connection_parameters(
    settings: Settings,
    hosts: tuple[Address, ...],
    password: str,
    application_name: str,
    database: str | None = None,
) -> dict[str, Any]:
    """libpq's connection parameters; they hold the password, so they are never logged.

    `database` is the one of the settings unless given. Of several hosts the first that accepts writes is taken.
    """
    parameters: dict[str, Any] = {
        "host": ",".join(each.host for each in hosts),
        "port": ",".join(str(each.port) for each in hosts),
        "dbname": database or settings.db_name,
        "user": settings.db_user,
        "application_name": application_name,
        "connect_timeout": settings.db_connect_timeout,
        "target_session_attrs": "read-write",
        "gssencmode": "disable",
        "client_encoding": "UTF8",
    }
    if password:
        parameters["password"] = password
    if all(is_socket(each.host) for each in hosts):
        return parameters
    parameters.update(KEEPALIVES)
    # Data that the other side does not acknowledge means a dead host; the kernel would wait 15 minutes.
    parameters["tcp_user_timeout"] = settings.db_connect_timeout * 1000 * 2
    if not settings.db_tls_enabled:
        # Not "prefer": encryption with whoever answers would only look like safety.
        return {**parameters, "sslmode": "disable"}
    parameters["sslmode"] = "verify-full"
    parameters["sslrootcert"] = str(settings.db_tls_ca_cert_path or system_ca_bundle())
    if settings.db_tls_client_cert_path and settings.db_tls_client_key_path:
        parameters["sslcert"] = str(settings.db_tls_client_cert_path)
        parameters["sslkey"] = str(settings.db_tls_client_key_path)
    else:
        # Else libpq would take what lies in the home folder of our user.
        parameters["sslcertmode"] = "disable"
    return parameters


def said_by_server(text: str) -> bool:
    """True when libpq passes on what a server said, in whatever language; False for what it says itself."""
    return _SAID_BY_SERVER.search(text) is not None


def is_socket(host: str) -> bool:
    """True for the folder of a Unix socket, or for an abstract one (@name)."""
    return host.startswith(("/", "@"))


def longest_wait_secs(settings: Settings) -> float:
    """How long it takes at most to learn that the database does not answer: a connection, and one statement."""
    places = 1 + len(settings.db_hosts)  # a free place in the pool is waited for as well
    return places * settings.db_connect_timeout + settings.db_statement_timeout + SILENCE_SECS + TICK_SECS


def address_in_words(settings: Settings) -> str:
    """Where the database is, for messages: no user, no password."""
    return f"PostgreSQL at {' or '.join(str(each) for each in settings.db_hosts)}"


def _every_reason(error: psycopg2.Error | None) -> str:
    """What each server answered, one after the other; hints on lines of their own are left out."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "; ".join([lines[0], *(line for line in lines[1:] if line.startswith("connection to "))])
