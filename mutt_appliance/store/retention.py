"""Months past retention: exported if AUDIT_ARCHIVE_DIR is set, then dropped; one at a time, the oldest first.

While its file is written a month stays in the audit log. Then it is detached, which nobody notices but those who
look into it, its rows are counted against the file, and it is dropped. Whatever ends us in between, the next look
goes on: a file is written again unless one of this very partition is there and in order, and nothing is dropped
without. An event that comes so late that its month is gone makes a new partition, and later a second file.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Identifier

from mutt_appliance.config import Settings
from mutt_appliance.store.archive_files import (
    ArchiveError,
    Manifest,
    Source,
    check_file,
    find_archive,
    write_archive,
)
from mutt_appliance.store.partitions import drop_partitions_before, retention_limit
from mutt_appliance.store.queries import query
from mutt_appliance.store.streaming import row_count, texts
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("store.retention")

DETACHED = "_detached"
MONTH = re.compile(rf"event_audit_log_(\d{{4}})_(0[1-9]|1[0-2])(?:{DETACHED})?")
LOCK_TIMEOUT = "2s"
PROGRESS_SECS = 30.0


@dataclass(frozen=True)
class Due:
    """A month past retention; not `attached`: a former attempt has taken it out of the audit log already."""

    name: str
    oid: int
    attached: bool
    month: date


@dataclass
class Retired:
    """What was done: months that are gone, files that were made; `failure` says why it went no further."""

    dropped: list[str] = field(default_factory=list)
    archived: list[Manifest] = field(default_factory=list)
    failure: str = ""
    waiting: int = 0


@dataclass(frozen=True)
class Archived:
    """A month that is in a file."""

    month: date
    host: str
    file: str
    rows: int
    size_bytes: int
    sha256: str
    first_received_at: datetime
    last_received_at: datetime
    dropped_at: datetime


@dataclass(frozen=True)
class Part:
    """A part of the audit log as it is: rows are PostgreSQL's estimate, bytes include the indexes."""

    name: str
    attached: bool
    rows: int
    size_bytes: int


def due_on(month: date, retention_days: int) -> date:
    """The UTC day on which a month is past retention; `retention_days` is 1 or more."""
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return following + timedelta(days=retention_days)


def leaves_on(part: str, retention_days: int) -> date | None:
    """The UTC day on which a part of that name leaves; None if never: no retention, or no month of ours."""
    found = MONTH.fullmatch(part)
    if found is None or not retention_days:
        return None
    return due_on(date(int(found[1]), int(found[2]), 1), retention_days)


def due_months(conn: Connection, settings: Settings, now: datetime) -> list[Due]:
    """Months that are past retention and still there."""
    if not settings.audit_retention_days:
        return []
    day = retention_limit(now, settings.audit_retention_days)
    with conn.cursor() as cursor:
        cursor.execute(query("due_partitions"), {"day": day})
        return [Due(*row) for row in cursor.fetchall()]


def parts(conn: Connection) -> list[Part]:
    """Every part of the audit log, by name."""
    with conn.cursor() as cursor:
        cursor.execute(query("audit_partitions"))
        return [Part(*row) for row in cursor.fetchall()]


def archives(conn: Connection) -> list[Archived]:
    """Months that left the audit log for a file, the oldest first."""
    with conn.cursor() as cursor:
        cursor.execute(query("audit_archives"))
        return [Archived(*row) for row in cursor.fetchall()]


def last_archive_at(conn: Connection) -> float:
    """When a month was last archived, in seconds since 1970; 0 for never."""
    with conn.cursor() as cursor:
        cursor.execute(query("last_archive"))
        return float(cursor.fetchall()[0][0] or 0)


def retire(
    conn: Connection, settings: Settings, now: datetime, stop: threading.Event | None = None
) -> Retired:
    """Archive and drop what is past retention as of `now`. The caller holds Lock.MAINTENANCE on `conn`.

    Raises psycopg2.Error and Stopped; what was finished before stays finished.
    """
    done = Retired()
    if not settings.audit_retention_days:
        return done
    months = due_months(conn, settings, now)
    conn.commit()
    folder = settings.audit_archive_dir
    if folder is None:
        _drop(conn, settings, now, months, done)
        return done
    for month in months:
        try:
            _archive_and_drop(conn, settings, folder, month, done, stop)
        except ArchiveError as error:
            conn.rollback()
            done.failure = str(error)
            break
    done.waiting = len(months) - len(done.dropped)
    return done


def _drop(conn: Connection, settings: Settings, now: datetime, months: list[Due], done: Retired) -> None:
    for month in months:
        if not month.attached:
            with conn.cursor() as cursor:
                cursor.execute(SQL("DROP TABLE {}").format(Identifier(month.name)))
            done.dropped.append(month.name.removesuffix(DETACHED))
    done.dropped += drop_partitions_before(conn, retention_limit(now, settings.audit_retention_days))
    conn.commit()


def _archive_and_drop(
    conn: Connection,
    settings: Settings,
    folder: Path,
    month: Due,
    done: Retired,
    stop: threading.Event | None,
) -> None:
    if not month.attached:
        log.info("a month that was detached before is taken up again", partition=month.name)
    manifest = _file_of(conn, settings, folder, month, month.name, stop)
    table = month.name
    if month.attached:
        table = _detach(conn, month.name)
    # Nobody writes into it any more: an event that came while the file was written is seen now.
    count = row_count(conn, table, stop)
    conn.commit()
    if count != (manifest.rows if manifest else 0):
        log.info("rows came while the month was exported: it is exported again", partition=month.name)
        manifest = _export(conn, settings, folder, month, table, stop)
        if manifest.rows != count:
            raise ArchiveError(
                f"{folder / manifest.file}: holds {manifest.rows} rows of {count}: the month is kept as {table}"
            )
    _drop_detached(conn, folder, table, month, manifest)
    done.dropped.append(month.name.removesuffix(DETACHED))
    if manifest is not None:
        done.archived.append(manifest)


def _file_of(
    conn: Connection, settings: Settings, folder: Path, month: Due, table: str, stop: threading.Event | None
) -> Manifest | None:
    """A file of the month that was read back just now; None for a month without rows."""
    source = _source(conn, settings, month)
    former = find_archive(folder, source)
    if former is not None:
        try:
            check_file(folder / former.file, former, stop)
        except ArchiveError as error:
            log.warning("a file of a former attempt is written again", error=str(error))
        else:
            return former
    with conn.cursor() as cursor:
        cursor.execute(SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(table)))
        ((any_rows,),) = cursor.fetchall()
    conn.commit()
    return _export(conn, settings, folder, month, table, stop) if any_rows else None


def _export(
    conn: Connection, settings: Settings, folder: Path, month: Due, table: str, stop: threading.Event | None
) -> Manifest:
    source = _source(conn, settings, month)
    log.info("a month is exported", partition=month.name, folder=str(folder))
    started = time.monotonic()
    with conn.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The primary key has the rows in order; to sort a month would meet the timeout of statements.
        cursor.execute("SELECT set_config('enable_sort', 'off', true)")
    statement = SQL(query("archive_rows")).format(partition=Identifier(table))
    rows = _with_progress(month.name, texts(conn, statement, stop=stop))
    manifest = write_archive(folder, settings.audit_archive_format, source, rows, stop)
    conn.commit()
    log.info(
        "a month is exported and its file was read back",
        partition=month.name,
        file=str(folder / manifest.file),
        rows=manifest.rows,
        size_bytes=manifest.size_bytes,
        secs=round(time.monotonic() - started, 1),
    )
    return manifest


def _with_progress(partition: str, rows: Iterator[list[str]]) -> Iterator[list[str]]:
    count, told = 0, time.monotonic()
    for chunk in rows:
        yield chunk
        count += len(chunk)
        if time.monotonic() - told > PROGRESS_SECS:
            told = time.monotonic()
            log.info("export goes on", partition=partition, rows=count)


def _source(conn: Connection, settings: Settings, month: Due) -> Source:
    with conn.cursor() as cursor:
        cursor.execute(query("applied_migrations"))
        schema = max(name for (name,) in cursor.fetchall())
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        ((cluster,),) = cursor.fetchall()
    conn.commit()
    partition = month.name.removesuffix(DETACHED)
    return Source(partition, month.oid, month.month, settings.db_name, str(cluster), schema)


def _detach(conn: Connection, name: str) -> str:
    """Take a month out of the audit log; its name from then on. Writers wait for LOCK_TIMEOUT at most."""
    detached = name + DETACHED
    with conn.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
        cursor.execute(
            SQL(query("detach_partition")).format(partition=Identifier(name), detached=Identifier(detached))
        )
    conn.commit()
    return detached


def _drop_detached(conn: Connection, folder: Path, table: str, month: Due, manifest: Manifest | None) -> None:
    """The month goes, and where it went is noted, both or neither."""
    with conn.cursor() as cursor:
        cursor.execute(SQL("DROP TABLE {}").format(Identifier(table)))
        if manifest is not None:
            noted = {
                "month": month.month,
                "host": manifest.host,
                "file": str(folder / manifest.file),
                "rows": manifest.rows,
                "size_bytes": manifest.size_bytes,
                "sha256": manifest.sha256,
                "first_received_at": manifest.first_received_at,
                "last_received_at": manifest.last_received_at,
            }
            cursor.execute(query("note_archive"), noted)
    conn.commit()
