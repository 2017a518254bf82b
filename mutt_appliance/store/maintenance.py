"""Keeps the audit log in months: makes the coming ones, drops those past retention."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.backoff import Backoff
from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.store.errors import StoreUnavailable, reason
from mutt_appliance.store.locks import Lock, try_lock
from mutt_appliance.store.partitions import (
    create_partition,
    drop_partitions_before,
    months_ahead,
    partition_names,
    retention_limit,
)
from mutt_appliance.store.pool import Database
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("store.maintenance")

RETRY_SECS = 60.0
"""After a failure the next look comes no later than this."""


@dataclass(frozen=True)
class Maintained:
    """Names of the partitions made and dropped."""

    created: tuple[str, ...]
    dropped: tuple[str, ...]


def run_once(conn: Connection, settings: Settings, now: datetime) -> Maintained | None:
    """Make and drop partitions as of `now`; None when another process is doing it.

    Raises psycopg2.Error; partitions that were made stay even if the drop has to wait for a long query.
    """
    with try_lock(conn, Lock.MAINTENANCE) as alone:
        if not alone:
            return None
        before = set(partition_names(conn))
        ahead = [
            create_partition(conn, month) for month in months_ahead(now, settings.audit_partitions_ahead)
        ]
        conn.commit()
        dropped: list[str] = []
        if settings.audit_retention_days:
            dropped = drop_partitions_before(conn, retention_limit(now, settings.audit_retention_days))
            conn.commit()
        return Maintained(tuple(name for name in ahead if name not in before), tuple(dropped))


def start_maintenance_thread(child: Child, database: Database) -> threading.Thread:
    """Look after the partitions now and every MAINTENANCE_INTERVAL seconds, until `child` stops.

    Failures are logged, never raised: the audit writer makes a missing partition itself.
    """

    def loop() -> None:
        backoff = Backoff(RETRY_SECS, RETRY_SECS)
        while True:
            well = maintain(database)
            interval = database.settings.maintenance_interval
            if child.stopping.wait(interval if well else min(interval, backoff.next_secs())):
                return

    thread = threading.Thread(target=loop, name="maintenance", daemon=True)
    thread.start()
    return thread


def maintain(database: Database) -> bool:
    """One look at the partitions; True when it went well or another process has it."""
    try:
        with database.connection() as conn:
            result = run_once(conn, database.settings, datetime.now(UTC))
    except (StoreUnavailable, psycopg2.Error) as error:
        log.warning("partition maintenance failed", error=reason(error))
        return False
    if result is not None and (result.created or result.dropped):
        log.info("partitions", created=list(result.created), dropped=list(result.dropped))
    return True
