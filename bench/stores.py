"""The Redis and the PostgreSQL of a run: real servers that write to disk as in production."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.prepare import prepare_database
from mutt_appliance.store.rules import RuleData
from mutt_appliance.supervisor.folders import can
from mutt_appliance.supervisor.programs import run_as
from tests.support.servers import PostgresServer, RedisServer

REPOSITORY = Path(__file__).resolve().parents[1]
BUILD_FOLDER = REPOSITORY / "build" / "bench"
# The path of a Unix socket has at most 107 bytes (unix(7)); what we put below the folder needs half.
FOLDER_MAX_BYTES = 60
NO_SECRETS = Secrets(ingest_api_key="bench", moog_api_key="bench", webui_api_key="bench")
INSERT_RULE = """
    INSERT INTO alert_rules (id, match_string, trap_oid, syslog_severity, match_type, priority,
                             prod_handling, dev_handling, team_assignment)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Stores:
    """Where both are, and a folder for more."""

    redis: RedisServer
    postgres: PostgresServer
    folder: Path

    def environment(self, database: str) -> dict[str, str]:
        """Variables that make an appliance use these stores."""
        return {
            "REDIS_HOST": self.redis.address,
            "DB_HOST": self.postgres.address,
            "DB_PORT": str(self.postgres.port),
            "DB_NAME": database,
        }

    def new_database(self, rules: RuleData) -> str:
        """A migrated database with these rules; its name."""
        name = f"bench_{next(_numbers)}"
        settings = Settings(
            redis_host=self.redis.address,
            db_host=self.postgres.address,
            db_port=self.postgres.port,
            db_name=name,
        )
        prepare_database(settings, NO_SECRETS, "bench", patience_secs=30, stop=threading.Event())
        connection = self.postgres.connect(name)
        insert_rules(connection, rules)
        connection.close()
        return name

    def empty_redis(self) -> None:
        """Nothing left in Redis, and its append-only file short again."""
        with self.redis.client() as client:
            client.flushall()


def insert_rules(connection: Connection, rules: RuleData) -> None:
    """Rules with their ids, and the teams, into tables that have none."""
    rows = [
        (
            *(rule.id, rule.match_string, rule.trap_oid, rule.syslog_severity, rule.match_type),
            *(rule.priority, rule.prod_handling, rule.dev_handling, rule.team_assignment),
        )
        for rule in rules.rules
    ]
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.executemany(INSERT_RULE, rows)
        cursor.execute("SELECT setval(pg_get_serial_sequence('alert_rules', 'id'), max(id)) FROM alert_rules")
        cursor.executemany("INSERT INTO device_teams VALUES (%s, %s)", list(rules.teams.items()))
        cursor.execute("COMMIT")


@contextmanager
def running_stores() -> Iterator[Stores]:
    """Start both below `build/bench`, stop them and take their files away at the end."""
    folder = _work_folder()
    redis_server = RedisServer(_owned(folder / "r"), appendfsync="everysec")
    postgres_server = PostgresServer(
        _owned(folder / "p"), durable=True, options=("-c", "shared_buffers=128MB", "-c", "jit=off")
    )
    try:
        redis_server.start()
        postgres_server.start()
        yield Stores(redis_server, postgres_server, folder)
    finally:
        redis_server.close()
        with suppress(OSError):
            postgres_server.stop()
        postgres_server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _work_folder() -> Path:
    """A new folder below build/bench, or below the system's temporary folder if the servers cannot use that.

    Root's PostgreSQL runs as an unprivileged user, who may not enter a checkout in /root; and the
    path of a socket has an end.
    """
    BUILD_FOLDER.mkdir(parents=True, exist_ok=True)
    folder = BUILD_FOLDER / f"run-{os.getpid()}"
    folder.mkdir()
    if len(os.fsencode(folder)) > FOLDER_MAX_BYTES or not can(run_as(None), "-x", folder):
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="mutt-bench-"))
    folder.chmod(0o755)
    return folder


def _owned(folder: Path) -> Path:
    folder.mkdir()
    run_as(None).own(folder)
    return folder
