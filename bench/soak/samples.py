"""A look at an appliance with its own stores: every process, every key, every queue."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import psycopg2
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812

from bench.soak.families import count_families
from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from tests.support.appliance import Appliance

SCAN_COUNT = 1000
# pg_stat_user_tables lags a second behind, and costs nothing.
AUDIT_ROWS = (
    "SELECT coalesce(sum(n_tup_ins), 0) FROM pg_stat_user_tables WHERE relname LIKE 'event_audit_log%'"
)
AUDIT_BYTES = """
    SELECT count(*), (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('event_audit_log'))
    FROM event_audit_log
"""


@dataclass(frozen=True)
class ProcessSample:
    """A process and what it has started, `members` in all; `pid` is its own.

    `memory_mb` (10^6 bytes) is anonymous memory and its share of mapped files (proc(5), smaps_rollup: Pss_Anon,
    Pss_File). PostgreSQL's shared buffers are not in it: they fill until they are full. `cpu_secs` is processor
    time since the start, without that of processes below it which are gone.
    """

    pid: int
    members: int
    memory_mb: float
    fds: int
    threads: int
    cpu_secs: float


@dataclass(frozen=True)
class Sample:
    """What was seen `at_secs` after the begin."""

    at_secs: float
    processes: dict[str, ProcessSample]
    families: dict[str, int]
    unknown_keys: tuple[str, ...]
    redis_used_mb: float
    audit_rows: int
    events_waiting: int
    alerts_waiting: int


class Looker:
    """Takes samples; it has a connection of its own to each store."""

    def __init__(self, target: Appliance) -> None:
        settings = Settings(mutt_runtime_dir=Path(target.env["MUTT_RUNTIME_DIR"]))
        self._target = target
        self._keys = KeySpace(settings)
        self.redis = redis.Redis(unix_socket_path=settings.redis_address, socket_timeout=10)
        self.database: Connection = psycopg2.connect(
            host=settings.db_address, port=settings.db_port, user=settings.db_user, dbname=settings.db_name
        )
        self.database.autocommit = True

    def close(self) -> None:
        """Close both connections."""
        self.redis.close()
        self.database.close()

    def waiting(self) -> tuple[int, int]:
        """(events in the ingest queue, alerts in the alert queue and in the retry set)."""
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.llen(self._keys.ingest_queue)
            pipe.llen(self._keys.alert_queue)
            pipe.zcard(self._keys.retry)
            events, alerts, retries = pipe.execute()
        return events, alerts + retries

    def look(self, begin: float) -> Sample:
        """Everything now; `begin` is the monotonic time that is 0."""
        families, unknown = count_families(
            key.decode("utf-8", "replace") for key in self.redis.scan_iter(count=SCAN_COUNT)
        )
        events, alerts = self.waiting()
        return Sample(
            at_secs=time.monotonic() - begin,
            processes=process_samples(self._target.pid),
            families=families,
            unknown_keys=unknown,
            redis_used_mb=self._used_mb(),
            audit_rows=int(self._row(AUDIT_ROWS)[0]),
            events_waiting=events,
            alerts_waiting=alerts,
        )

    def audit_size(self) -> tuple[int, int]:
        """(rows of the audit log, bytes of its tables and indexes)."""
        rows, size = self._row(AUDIT_BYTES)
        return int(rows), int(size)

    def _used_mb(self) -> float:
        memory: Any = self.redis.info("memory")
        return float(memory["used_memory"]) / 1e6

    def _row(self, statement: str) -> tuple[Any, ...]:
        with self.database.cursor() as cursor:
            cursor.execute(statement)
            return cast(tuple[Any, ...], cursor.fetchone())


def process_samples(supervisor: int) -> dict[str, ProcessSample]:
    """The supervisor, and each process below it by its name with all that it has started itself."""
    root = psutil.Process(supervisor)
    found = {"supervisor": _sample([root])}
    for child in root.children():
        with suppress(psutil.NoSuchProcess):
            found[_name(child)] = _sample([child, *child.children(recursive=True)])
    return found


def _name(process: psutil.Process) -> str:
    title = " ".join(process.cmdline()).strip("\0 ")
    if title.startswith("mutt: "):
        return title.removeprefix("mutt: ")
    return str(process.name())


def _sample(processes: list[psutil.Process]) -> ProcessSample:
    memory_kb = fds = threads = 0
    cpu_secs = 0.0
    for process in processes:
        # What a server has started may be gone by now.
        with suppress(FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
            folder = Path(f"/proc/{process.pid}")
            rollup = dict(line.split()[:2] for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
            memory_kb += int(rollup["Pss_Anon:"]) + int(rollup["Pss_File:"])
            fds += sum(1 for _ in (folder / "fd").iterdir())
            threads += process.num_threads()
            cpu = process.cpu_times()
            cpu_secs += cpu.user + cpu.system
    return ProcessSample(processes[0].pid, len(processes), memory_kb * 1024 / 1e6, fds, threads, cpu_secs)
