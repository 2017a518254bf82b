"""Settings of the section PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("database")


class DatabaseSettings(Section):
    """Where PostgreSQL is, and how it is spoken to."""

    db_host: str | None = setting(
        None,
        "PostgreSQL hostname, or the folder of a Unix socket; several are separated by commas, each host or "
        "host:port, and the one that takes writes is used; with only REDIS_HOST set it is localhost",
    )
    db_port: int = setting(5432, "PostgreSQL port, where DB_HOST has none", ge=1, le=65535)
    db_name: str = setting("mutt_db", "Database name", pattern=r"^[A-Za-z_][A-Za-z0-9_$-]{0,62}$")
    db_user: str = setting("mutt_user", "Database user", pattern=r"^[A-Za-z_][A-Za-z0-9_$-]{0,62}$")
    db_tls_enabled: bool = setting(
        True,
        "Enable TLS for PostgreSQL, certificate and host name verified (external hosts; a Unix socket needs none); "
        "false is plain text, and a server that asks for TLS refuses it",
    )
    db_tls_ca_cert_path: Path | None = setting(
        None, "PostgreSQL TLS CA certificate path (unset: the authorities of this machine)"
    )
    db_tls_client_cert_path: Path | None = setting(
        None, "Client certificate for PostgreSQL, with DB_TLS_CLIENT_KEY_PATH"
    )
    db_tls_client_key_path: Path | None = setting(
        None,
        "Private key of the client certificate; mode 0600, or 0640 where it belongs to root",
    )
    db_pool_min_conn: int = setting(2, "Min connections in pool", "connections", ge=0, le=1000)
    db_pool_max_conn: int = setting(10, "Max connections in pool", "connections", ge=1, le=1000)
    db_connect_timeout: int = setting(5, "Time to connect (seconds)", "seconds", ge=2, le=300)
    db_statement_timeout: float = setting(
        15,
        "Time one statement may take (seconds); 2 s later the connection is given up, should the server be silent",
        "seconds",
        gt=0,
        le=3600,
    )
    db_synchronous_commit: Literal["on", "remote_apply", "remote_write", "local", "server"] = setting(
        "on",
        "synchronous_commit of MUTT's sessions: on also waits for a synchronous standby, if the server names any; "
        "server leaves it as the server has it",
    )
