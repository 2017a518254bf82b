"""PostgreSQL: reachable, new enough, writable, migrated, with partitions for this month and the next."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg2

from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.doctor.redis_store import judge_clock
from mutt_appliance.resources import resource_folder
from mutt_appliance.store.connecting import address_in_words, connect
from mutt_appliance.store.errors import StoreUnavailable, reason
from mutt_appliance.store.partitions import months_ahead, partition_names
from mutt_appliance.store.queries import query

OLDEST = 11  # the first that has what the partitions need, unique indexes of partitioned tables included


@dataclass(frozen=True)
class DatabaseFacts:
    """What PostgreSQL said; `needed` are our own migrations, `applied` those the database has.

    `hosts` is how many DB_HOST names, `synchronous_standbys` whom a commit waits for.
    """

    version_number: int
    in_recovery: bool
    ahead_secs: float
    needed: frozenset[str]
    applied: frozenset[str]
    partitions: tuple[str, ...]
    hosts: int = 1
    synchronous_standbys: str = ""


def check_database(patient: Patient) -> Iterator[Finding]:
    """The PostgreSQL of the settings."""
    if patient.settings.embedded and patient.down:
        yield Finding(
            "database.reachable", "n/a", "the embedded PostgreSQL runs with the appliance, which is down"
        )
        return
    try:
        facts = _read(patient)
    except (StoreUnavailable, psycopg2.Error) as error:
        text = str(error).strip() if isinstance(error, StoreUnavailable) else reason(error)
        yield Finding(
            "database.reachable",
            "error",
            text,
            "see postgres:0 in mutt-ctl status; run this as root or as the user that runs MUTT"
            if patient.settings.embedded
            else "check DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_TLS_ENABLED, and DB_PASS in the secrets file",
        )
        return
    yield Finding("database.reachable", "ok", f"{address_in_words(patient.settings)} answers")
    yield from judge_database(facts, datetime.now(UTC))


def _read(patient: Patient) -> DatabaseFacts:
    conn = connect(patient.hurried, patient.secrets, "mutt-ctl doctor")
    with contextlib.closing(conn), conn.cursor() as cursor:
        cursor.execute(query("server_facts"))
        ((version, in_recovery, epoch, migrated, has_log, standbys),) = cursor.fetchall()
        ahead = epoch - time.time()
        applied: frozenset[str] = frozenset()
        if migrated:
            cursor.execute(query("applied_migrations"))
            applied = frozenset(name for (name,) in cursor.fetchall())
        partitions = tuple(partition_names(conn)) if has_log else ()
    needed = frozenset(path.stem for path in resource_folder("sql").glob("*.sql"))
    hosts = len(patient.settings.db_hosts)
    return DatabaseFacts(version, in_recovery, ahead, needed, applied, partitions, hosts, standbys)


def judge_database(facts: DatabaseFacts, now: datetime) -> Iterator[Finding]:
    """What is to be said of a PostgreSQL that answers."""
    major = facts.version_number // 10_000
    if major >= OLDEST:
        yield Finding("database.version", "ok", f"PostgreSQL {major}")
    else:
        yield Finding(
            "database.version",
            "error",
            f"PostgreSQL {major} is too old",
            "install 13 or later (dnf module enable postgresql:15)",
        )
    if facts.in_recovery:
        yield Finding(
            "database.writable",
            "error",
            "it is a standby and takes no writes",
            "let DB_HOST name the primary, or all hosts separated by commas",
        )
    else:
        yield Finding("database.writable", "ok", "it is the primary")
    if facts.hosts > 1:
        yield _replication(facts)
    missing = sorted(facts.needed - facts.applied)
    unknown = sorted(facts.applied - facts.needed)
    if missing:
        yield Finding(
            "database.migrations",
            "error",
            f"not applied: {', '.join(missing)}",
            "mutt migrate, or start the appliance, which does it",
        )
    elif unknown:
        yield Finding(
            "database.migrations",
            "warning",
            f"it was migrated by a newer MUTT: {', '.join(unknown)}",
            "install that version again",
        )
    else:
        yield Finding("database.migrations", "ok", f"all {len(facts.needed)} migrations are applied")
    yield _partitions(facts, now)
    yield judge_clock("database.clock", "PostgreSQL", facts.ahead_secs)


def _replication(facts: DatabaseFacts) -> Finding:
    if facts.synchronous_standbys:
        return Finding(
            "database.replication", "ok", f"a commit waits for a standby of {facts.synchronous_standbys}"
        )
    return Finding(
        "database.replication",
        "warning",
        "a commit waits for no standby, so a failover may lose audit rows that were written last",
        "set synchronous_standby_names (Patroni: synchronous_mode: true)",
    )


def _partitions(facts: DatabaseFacts, now: datetime) -> Finding:
    wanted = [f"event_audit_log_{month:%Y_%m}" for month in months_ahead(now, 1)]
    missing = [name for name in wanted if name not in facts.partitions]
    if missing:
        return Finding(
            "database.partitions",
            "warning",
            f"missing: {', '.join(missing)}",
            "a running alerter makes them within MAINTENANCE_INTERVAL; mutt migrate does it now",
        )
    return Finding("database.partitions", "ok", f"{len(facts.partitions)} months, the next one included")
