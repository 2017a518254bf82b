"""Retention of the audit log: months that should have left by now, and the folder that they go to."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2

from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.store.connecting import connect
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.retention import Archived, Part, archives, leaves_on, parts

PATIENCE = timedelta(days=2)
"""A month that leaves in the night of its day is no trouble yet."""


def check_retention(patient: Patient) -> Iterator[Finding]:
    """What left, what should have, and where to."""
    settings = patient.settings
    folder = settings.audit_archive_dir
    yield judge_folder(folder)
    if settings.embedded and patient.down:
        yield Finding(
            "audit.retention", "n/a", "the embedded PostgreSQL runs with the appliance, which is down"
        )
        return
    try:
        conn = connect(patient.hurried, patient.secrets, "mutt-ctl doctor")
        with contextlib.closing(conn):
            here, gone = parts(conn), archives(conn)
    except (StoreUnavailable, psycopg2.Error):
        yield Finding("audit.retention", "n/a", "the database cannot be asked: see above")
        return
    yield judge_retention(here, gone, settings.audit_retention_days, datetime.now(UTC).date(), folder)


def judge_folder(folder: Path | None) -> Finding:
    """Whether months can go into `folder`, as far as can be seen without writing."""
    if folder is None:
        return Finding(
            "audit.archive", "n/a", "AUDIT_ARCHIVE_DIR is not set: months are dropped without a file"
        )
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return Finding("audit.archive", "ok", f"{folder} is made when the first month goes into it")
    except OSError as error:
        return Finding("audit.archive", "warning", f"{folder}: {error.strerror}", "run this as root")
    if not stat.S_ISDIR(mode):
        return Finding(
            "audit.archive", "error", f"{folder} is no folder", "name a folder in AUDIT_ARCHIVE_DIR"
        )
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return Finding("audit.archive", "error", f"{folder} is mounted read-only", "mount it for writing")
    return Finding("audit.archive", "ok", f"{folder} is there")


def judge_retention(
    here: Sequence[Part], gone: Sequence[Archived], retention_days: int, today: date, folder: Path | None
) -> Finding:
    """Whether months leave in time; `folder` is where to, None for nowhere."""
    late = [
        part.name
        for part in here
        if (day := leaves_on(part.name, retention_days)) is not None and day + PATIENCE < today
    ]
    if late:
        advice = (
            f"see what an alerter says of it: mutt-ctl tail alerter:0; is {folder} writable, has it room?"
        )
        if folder is None:
            advice = "see what an alerter says of it: mutt-ctl tail alerter:0; a very long query may hold it"
        return Finding(
            "audit.retention", "warning", f"past retention and still there: {', '.join(late)}", advice
        )
    days = (
        f"months are kept for {retention_days} days after their end"
        if retention_days
        else "all months are kept"
    )
    files = f"; {len(gone)} in files, the last since {gone[-1].dropped_at:%Y-%m-%d}" if gone else ""
    return Finding("audit.retention", "ok", f"{days}, {len(here)} are there{files}")
