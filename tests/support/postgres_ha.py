"""A PostgreSQL primary and its streaming standby, real processes on ports of the loopback address, with TLS."""

from __future__ import annotations

import shutil
import subprocess

import psycopg2

from mutt_appliance.supervisor.programs import find_postgres_folder, run_as
from tests.support.certificates import Authority
from tests.support.servers import PostgresServer, server_folder
from tests.support.waiting import free_port, wait_until

STREAMING_SECS = 30.0
SLOT = "standby"
OPTIONS = {
    "wal_level": "replica",
    "max_wal_senders": 4,
    "max_replication_slots": 4,
    "hot_standby": "on",
    # A primary that froze is missed after this time.
    "wal_receiver_timeout": "3s",
    "wal_sender_timeout": "3s",
}


class PostgresPair:
    """`primary` streams to `standby`; `synchronous` makes each commit wait for it. A test fails over by hand.

    Start it, and close it at the end. The servers are on TLS with certificates of their own authority.
    """

    def __init__(self, *, synchronous: bool) -> None:
        self.synchronous = synchronous
        self._folder = server_folder()
        self.authority = Authority(self._folder)
        issued = self.authority.issue("server", "127.0.0.1")
        options = {**OPTIONS, "ssl": "on", "ssl_cert_file": issued.cert, "ssl_key_file": issued.key}
        flags = tuple(part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        self.primary, self.standby = (
            PostgresServer(port=free_port(), durable=True, options=flags) for _ in range(2)
        )

    @property
    def env(self) -> dict[str, str]:
        """Variables of an appliance on this pair."""
        ports = sorted((self.primary.port, self.standby.port))
        return {
            "DB_HOST": ",".join(f"127.0.0.1:{port}" for port in ports),
            "DB_TLS_CA_CERT_PATH": str(self.authority.ca),
        }

    def start(self) -> None:
        """A new primary, and a standby that has all of it."""
        self.primary.start()
        self.attach_standby()

    def attach_standby(self) -> None:
        """Make `standby`, which does not run, a copy of the primary that follows it."""
        shutil.rmtree(self.standby.data, ignore_errors=True)
        self.primary.execute(
            f"SELECT pg_drop_replication_slot('{SLOT}') FROM pg_replication_slots WHERE slot_name = '{SLOT}'"
        )
        self._name_synchronous("")
        subprocess.run(
            [
                # On PATH there may be links to some of the programs only.
                str((find_postgres_folder(None) / "postgres").resolve().with_name("pg_basebackup")),
                *("--pgdata", str(self.standby.data), "--write-recovery-conf", "--no-sync"),
                *("--slot", SLOT, "--create-slot", "--checkpoint", "fast"),
                *("--dbname", f"host=127.0.0.1 port={self.primary.port} user=mutt_user"),
            ],
            check=True,
            capture_output=True,
            cwd=self._folder,
            **run_as(None).popen_arguments,  # type: ignore[call-overload]
        )
        self.standby.start()
        wait_until(lambda: self.streams, STREAMING_SECS, "the standby streams")
        # Only now: the copy of this would make the standby, once it is promoted, wait for one of its own.
        self._name_synchronous("*" if self.synchronous else "")

    def _name_synchronous(self, names: str) -> None:
        self.primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.execute("SELECT pg_reload_conf()")
        if names:
            sync = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
            wait_until(lambda: self.primary.execute(sync), STREAMING_SECS, "the standby is synchronous")

    @property
    def streams(self) -> bool:
        """True while the standby hears from the primary."""
        return bool(self.standby.execute("SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"))

    def cut_off_standby(self) -> None:
        """The standby hears nothing of the primary any more, and does not know it for a failure."""
        self.standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
        self.standby.execute("SELECT pg_reload_conf()")
        wait_until(lambda: not self.streams, STREAMING_SECS, "the standby is cut off")

    def promote(self) -> PostgresServer:
        """Make the standby the primary, whatever became of the old one, which is returned and is `standby` now."""
        ((promoted,),) = self.standby.execute("SELECT pg_promote(true, 30)")
        assert promoted, "the standby was not promoted"
        self.primary, self.standby = self.standby, self.primary
        return self.standby

    def close(self) -> None:
        """End both and remove what they had."""
        for server in (self.primary, self.standby):
            server.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def rows_in(server: PostgresServer, database: str) -> int:
    """Rows of the audit log; -1 while the server does not answer."""
    try:
        ((count,),) = server.execute("SELECT count(*) FROM event_audit_log", database)
    except psycopg2.Error:
        return -1
    assert isinstance(count, int)
    return count
