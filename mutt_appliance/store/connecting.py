"""From the settings to a connection: TCP with TLS, or a Unix socket."""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.errors import StoreUnavailable, reason
from mutt_appliance.tls.trust import system_ca_bundle

MAINTENANCE_DATABASE = "postgres"
KEEPALIVES: dict[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def connection_parameters(
    settings: Settings, secrets: Secrets, application_name: str, database: str | None = None
) -> dict[str, Any]:
    """libpq's connection parameters; they hold the password, so they are never logged.

    `database` is the one of the settings unless given. Several hosts in DB_HOST, separated by
    commas, are tried in turn until one accepts writes.
    """
    address = settings.db_address
    parameters: dict[str, Any] = {
        "host": address,
        "port": settings.db_port,
        "dbname": database or settings.db_name,
        "user": settings.db_user,
        "application_name": application_name,
        "connect_timeout": settings.db_connect_timeout,
        "target_session_attrs": "read-write",
        "gssencmode": "disable",
        "client_encoding": "UTF8",
    }
    if secrets.db_pass:
        parameters["password"] = secrets.db_pass
    if is_socket(address):
        return parameters
    parameters.update(KEEPALIVES)
    # Data that the other side does not acknowledge means a dead host; the kernel would wait 15 minutes.
    parameters["tcp_user_timeout"] = settings.db_connect_timeout * 1000 * 2
    if settings.db_tls_enabled:
        parameters["sslmode"] = "verify-full"
        parameters["sslrootcert"] = str(settings.db_tls_ca_cert_path or system_ca_bundle())
    else:
        parameters["sslmode"] = "prefer"
    return parameters


def is_socket(address: str) -> bool:
    """True for the folder of a Unix socket, or for an abstract one (@name)."""
    return address.startswith(("/", "@"))


def address_in_words(settings: Settings) -> str:
    """Where the database is, for messages: no user, no password."""
    return f"PostgreSQL at {settings.db_address}, port {settings.db_port}"


def connect(
    settings: Settings, secrets: Secrets, application_name: str, database: str | None = None
) -> Connection:
    """One connection in UTC with the statement timeout of the settings.

    Raises StoreUnavailable, naming the address, when it cannot be had.
    """
    parameters = connection_parameters(settings, secrets, application_name, database)
    try:
        conn: Connection = psycopg2.connect(**parameters)
    except psycopg2.Error as error:
        raise StoreUnavailable(
            f"{address_in_words(settings)}: cannot connect to database {parameters['dbname']}: {reason(error)}"
        ) from error
    try:
        # SET, not the `options` parameter, which PgBouncer refuses.
        with conn.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('timezone', 'UTC', false), set_config('statement_timeout', %s, false)",
                (str(round(settings.db_statement_timeout * 1000)),),
            )
        conn.commit()
    except psycopg2.Error as error:
        conn.close()
        raise StoreUnavailable(f"{address_in_words(settings)}: {reason(error)}") from error
    return conn
