"""Makes the database ready for use: waits for it, creates it, migrates it, makes its partitions."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.backoff import Backoff
from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.errors import Stopped, StoreUnavailable, as_unavailable
from mutt_appliance.store.locks import Lock, try_lock
from mutt_appliance.store.migrations import apply_migrations, ensure_database
from mutt_appliance.store.partitions import create_partition, months_ahead

FIRST_DELAY_SECS = 0.1
LONGEST_DELAY_SECS = 2.0
LOCK_POLL_SECS = 0.1


@dataclass(frozen=True)
class Prepared:
    """What was done: whether the database was created, the migrations applied, the partitions that are there."""

    database_created: bool
    migrations: tuple[str, ...]
    partitions: tuple[str, ...]


def prepare_database(
    settings: Settings,
    secrets: Secrets,
    name: str,
    *,
    patience_secs: float,
    stop: threading.Event,
    report: Callable[[str], None] = lambda _: None,
) -> Prepared:
    """Prepare the database, trying for `patience_secs` while it cannot be reached or is being migrated.

    `report` gets a sentence each time something changes. Raises StoreUnavailable when patience ends,
    SchemaError for what waiting does not mend, Stopped when `stop` is set.
    """
    deadline = time.monotonic() + patience_secs
    backoff = Backoff(FIRST_DELAY_SECS, LONGEST_DELAY_SECS)
    last_report = ""
    while True:
        try:
            return _attempt(settings, secrets, name, deadline, stop, report)
        except StoreUnavailable as error:
            delay = backoff.next_secs()
            if time.monotonic() + delay > deadline:
                raise
            if str(error) != last_report:
                last_report = str(error)
                report(f"waiting: {last_report}")
        if stop.wait(delay):
            raise Stopped


def _attempt(
    settings: Settings,
    secrets: Secrets,
    name: str,
    deadline: float,
    stop: threading.Event,
    report: Callable[[str], None],
) -> Prepared:
    created = ensure_database(settings, secrets, name)
    if created:
        report(f"database {settings.db_name} created")
    with contextlib.closing(connect(settings, secrets, name)) as conn, as_unavailable("migration stopped"):
        with conn.cursor() as cursor:
            # An index on a large table takes as long as it takes.
            cursor.execute("SET statement_timeout = 0")
            conn.patience_secs = None
        conn.commit()
        migrations = _migrate_alone(conn, deadline, stop, report)
        for migration in migrations:
            report(f"migration {migration} applied")
        now = datetime.now(UTC)
        partitions = [create_partition(conn, m) for m in months_ahead(now, settings.audit_partitions_ahead)]
        conn.commit()
    return Prepared(created, tuple(migrations), tuple(partitions))


def _migrate_alone(
    conn: Connection, deadline: float, stop: threading.Event, report: Callable[[str], None]
) -> list[str]:
    waiting = False
    while True:
        with try_lock(conn, Lock.MIGRATION) as taken:
            if taken:
                return apply_migrations(conn)
        if not waiting:
            waiting = True
            report("another appliance is migrating the database")
        if time.monotonic() > deadline:
            raise StoreUnavailable("another appliance has been migrating the database all the time")
        if stop.wait(LOCK_POLL_SECS):
            raise Stopped
