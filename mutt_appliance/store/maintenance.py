"""Keeps the audit log in months: makes the coming ones, archives and drops those past retention."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.backoff import Backoff
from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.store.errors import Stopped, StoreUnavailable, reason
from mutt_appliance.store.locks import Lock, try_lock
from mutt_appliance.store.partitions import create_partition, months_ahead, partition_names
from mutt_appliance.store.pool import Database
from mutt_appliance.store.retention import due_months, last_archive_at, retire
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics

log = get_logger("store.maintenance")

RETRY_SECS = 60.0
"""After a failure the next look comes no later than this."""


@dataclass(frozen=True)
class Maintained:
    """Names of the partitions made and dropped; rows in files; `failure` says why a month could not be archived."""

    created: tuple[str, ...]
    dropped: tuple[str, ...]
    archived_rows: int = 0
    failure: str = ""


def run_once(
    conn: Connection, settings: Settings, now: datetime, stop: threading.Event | None = None
) -> Maintained | None:
    """Make, archive and drop partitions as of `now`; None when another process is doing it.

    Raises psycopg2.Error and Stopped; partitions that were made stay even if the drop has to wait for a long query.
    """
    with try_lock(conn, Lock.MAINTENANCE) as alone:
        if not alone:
            return None
        before = set(partition_names(conn))
        ahead = [
            create_partition(conn, month) for month in months_ahead(now, settings.audit_partitions_ahead)
        ]
        conn.commit()
        retired = retire(conn, settings, now, stop)
        return Maintained(
            tuple(name for name in ahead if name not in before),
            tuple(retired.dropped),
            sum(manifest.rows for manifest in retired.archived),
            retired.failure,
        )


def start_maintenance_thread(
    child: Child, database: Database, metrics: AlerterMetrics | None = None
) -> threading.Thread:
    """Look after the partitions now and every MAINTENANCE_INTERVAL seconds, until `child` stops.

    Failures are logged, never raised: the audit writer makes a missing partition itself.
    """

    def loop() -> None:
        backoff = Backoff(RETRY_SECS, RETRY_SECS)
        while True:
            well = maintain(database, metrics, child.stopping)
            interval = database.settings.maintenance_interval
            if child.stopping.wait(interval if well else min(interval, backoff.next_secs())):
                return

    thread = threading.Thread(target=loop, name="maintenance", daemon=True)
    thread.start()
    return thread


def maintain(
    database: Database, metrics: AlerterMetrics | None = None, stop: threading.Event | None = None
) -> bool:
    """One look at the partitions; True when the next may come after the whole interval.

    That is so when it went well, when another process has it, and when a month could not be archived: to write it
    again each minute would not make room on the disk.
    """
    settings = database.settings
    try:
        with database.connection() as conn:
            result = run_once(conn, settings, datetime.now(UTC), stop)
            if metrics is not None:
                metrics.archive_last_success.set(last_archive_at(conn))
                metrics.months_due.set(len(due_months(conn, settings, datetime.now(UTC))))
    except Stopped:
        return True
    except (StoreUnavailable, psycopg2.Error) as error:
        log.warning("partition maintenance failed", error=reason(error))
        return False
    if result is None:
        return True
    if result.created or result.dropped:
        log.info("partitions", created=list(result.created), dropped=list(result.dropped))
    if result.failure:
        log.error("a month of the audit log could not be archived and is kept", error=result.failure)
    if metrics is not None:
        metrics.archived_rows.inc(result.archived_rows)
        metrics.archive_failures.inc(bool(result.failure))
    return True
