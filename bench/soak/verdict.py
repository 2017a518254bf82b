"""From samples to slopes, a table, a JSON object, and what grows that must not."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.soak.samples import ProcessSample, Sample

# Memory grows when its slope is above this, and above three standard errors, and it came to so much.
MAX_MB_PER_HOUR = 5.0
STANDARD_ERRORS = 3.0
MIN_RISE_MB = 1.0
# Descriptors and threads are constant when none of the second half is further from the median. The connections of a
# forwarder to the webhook, the processes of a PostgreSQL and the child of a Redis that writes its file anew come and
# go: there the fewest of the last quarter must not be more than that above the fewest of the one before.
MAX_FROM_MEDIAN = 5
BREATHING = ("forwarder", "postgres", "redis")
# It keeps files open as it likes (max_files_per_process); a connection too many is a process, and so a thread, more.
OPENS_AS_IT_LIKES = "postgres"
# So many seconds of events may wait at the quietest moment of the second half.
MAX_BACKLOG_SECS = 2.0
MIN_POINTS = 8
# Neighbouring values that hang together say less than so many independent ones.
MAX_CORRELATION = 0.99
COLUMNS = ("", "MB first", "last", "MB/hour", "± error", "descriptors", "threads", "CPU %", "")


@dataclass(frozen=True)
class Trend:
    """A least-squares line: change an hour, and its standard error."""

    per_hour: float
    error: float


def trend(points: Sequence[tuple[float, float]]) -> Trend | None:
    """The line through (seconds, value); None for too few points.

    Memory moves in steps that last, so the error is widened for neighbours that hang together, as if there were
    n(1-r)/(1+r) values, r being the correlation of neighbouring residuals.
    """
    if len(points) < MIN_POINTS:
        return None
    times, values = zip(*points, strict=True)
    line = statistics.linear_regression(times, values)
    residuals = [value - line.intercept - line.slope * at for at, value in points]
    squares = sum(r * r for r in residuals)
    middle = statistics.fmean(times)
    spread = sum((at - middle) ** 2 for at in times)
    error = math.sqrt(squares / (len(points) - 2) / spread)
    neighbours = sum(a * b for a, b in itertools.pairwise(residuals))
    correlation = min(max(neighbours / squares, 0.0), MAX_CORRELATION) if squares else 0.0
    return Trend(line.slope * 3600, error * 3600 * math.sqrt((1 + correlation) / (1 - correlation)))


@dataclass(frozen=True)
class ProcessVerdict:
    """One process over the run; trend and ranges are of the second half."""

    name: str
    first_mb: float
    last_mb: float
    memory: Trend | None
    fds: tuple[int, ...]
    threads: tuple[int, ...]
    cpu_percent: float
    faults: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The line of the table."""
        slope = f"{self.memory.per_hour:+.1f}" if self.memory else "-"
        error = f"{self.memory.error:.1f}" if self.memory else "-"
        return (
            *(self.name, f"{self.first_mb:.1f}", f"{self.last_mb:.1f}", slope, error),
            *(
                _range(self.fds),
                _range(self.threads),
                f"{self.cpu_percent:.1f}",
                "FAULT" if self.faults else "",
            ),
        )

    @property
    def document(self) -> dict[str, Any]:
        """The same for the JSON object."""
        return {
            "first_mb": round(self.first_mb, 2),
            "last_mb": round(self.last_mb, 2),
            "slope_mb_per_hour": round(self.memory.per_hour, 2) if self.memory else None,
            "slope_error_mb_per_hour": round(self.memory.error, 2) if self.memory else None,
            "fds": [min(self.fds), max(self.fds)],
            "threads": [min(self.threads), max(self.threads)],
            "cpu_percent": round(self.cpu_percent, 2),
        }


@dataclass(frozen=True)
class Facts:
    """What is known beside the samples: the run, its load, and what went wrong meanwhile."""

    capacity: float | None
    rate: float
    accepted: int
    alerts: int
    audit_rows: int
    audit_bytes: int
    done: Mapping[str, int]
    troubles: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The result of a run."""

    samples: Sequence[Sample]
    facts: Facts
    processes: tuple[ProcessVerdict, ...] = field(init=False)
    faults: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys(name for sample in self.samples for name in sample.processes)
        judged = tuple(judge_process(name, self.samples) for name in names)
        faults = [fault for each in judged for fault in each.faults]
        unknown = sorted({key for sample in self.samples for key in sample.unknown_keys})
        faults += [f"Redis: {key} is no key that is declared in queueing/keys.py" for key in unknown]
        faults += _backlog(second_half(self.samples), self.facts.rate)
        object.__setattr__(self, "processes", judged)
        object.__setattr__(self, "faults", (*faults, *self.facts.troubles))

    def table(self) -> str:
        """Processes, families of keys and faults for people."""
        rows = [COLUMNS, *(each.cells for each in self.processes)]
        lines = ["memory of the whole run; the rest is of the second half", *_columns(rows), ""]
        first, last = self.samples[0], self.samples[-1]
        families = sorted({*first.families, *last.families})
        rows = [("keys of Redis", "first", "last")]
        rows += [(name, *(f"{s.families.get(name, 0):,}" for s in (first, last))) for name in families]
        rows.append(("used memory, MB", f"{first.redis_used_mb:.1f}", f"{last.redis_used_mb:.1f}"))
        lines += [*_columns(rows), ""]
        facts = self.facts
        size = facts.audit_bytes / facts.audit_rows if facts.audit_rows else 0.0
        capacity = f"capacity {facts.capacity:,.0f} events/s; " if facts.capacity else ""
        done = ", ".join(f"{count} x {what}" for what, count in facts.done.items())
        lines += [
            f"{capacity}{last.at_secs / 60:.1f} min at {facts.rate:,.0f} events/s, {len(self.samples)} samples",
            f"{facts.accepted:,} events accepted, {facts.alerts:,} alerts at the webhook",
            f"{facts.audit_rows:,} audit rows of {size:,.0f} bytes, indexes included; {done}",
        ]
        return "\n".join([*lines, *(f"FAULT {fault}" for fault in self.faults)])

    def json_line(self) -> str:
        """One JSON object."""
        first, last = self.samples[0], self.samples[-1]
        return json.dumps(
            {
                "capacity_events_per_sec": round(self.facts.capacity) if self.facts.capacity else None,
                "events_per_sec": round(self.facts.rate),
                "minutes": round(last.at_secs / 60, 2),
                "samples": len(self.samples),
                "processes": {each.name: each.document for each in self.processes},
                "redis_keys": {
                    name: [first.families.get(name, 0), last.families.get(name, 0)]
                    for name in sorted({*first.families, *last.families})
                },
                "redis_used_mb": [round(first.redis_used_mb, 2), round(last.redis_used_mb, 2)],
                "accepted": self.facts.accepted,
                "alerts": self.facts.alerts,
                "audit_rows": self.facts.audit_rows,
                "audit_bytes": self.facts.audit_bytes,
                "faults": list(self.faults),
            }
        )


def second_half(samples: Sequence[Sample]) -> list[Sample]:
    """What is judged: in the first half caches fill."""
    middle = (samples[0].at_secs + samples[-1].at_secs) / 2
    return [sample for sample in samples if sample.at_secs >= middle]


def judge_process(name: str, samples: Sequence[Sample]) -> ProcessVerdict:
    """What is known of a process, and its faults."""
    seen = [(sample.at_secs, sample.processes[name]) for sample in samples if name in sample.processes]
    half = {sample.at_secs for sample in second_half(samples)}
    late = [(at, process) for at, process in seen if at in half] or seen[-1:]
    memory = trend([(at, process.memory_mb) for at, process in late])
    fds = tuple(process.fds for _, process in late)
    threads = tuple(process.threads for _, process in late)
    judge = _rise if name.startswith(BREATHING) else _unsteady
    faults = [
        *_restarts(name, [process for _, process in seen]),
        *_growth(name, memory, late[-1][0] - late[0][0]),
        *([] if name.startswith(OPENS_AS_IT_LIKES) else judge(f"{name}: descriptors", fds)),
        *judge(f"{name}: threads", threads),
    ]
    return ProcessVerdict(
        name,
        first_mb=seen[0][1].memory_mb,
        last_mb=seen[-1][1].memory_mb,
        memory=memory,
        fds=fds,
        threads=threads,
        cpu_percent=_cpu_percent(late),
        faults=tuple(faults),
    )


def _cpu_percent(points: Sequence[tuple[float, ProcessSample]]) -> float:
    (begin, first), (end, last) = points[0], points[-1]
    return 100 * (last.cpu_secs - first.cpu_secs) / (end - begin) if end > begin else 0.0


def _restarts(name: str, processes: Sequence[ProcessSample]) -> list[str]:
    pids = len({process.pid for process in processes})
    return [f"{name}: was another process {pids - 1} times"] if pids > 1 else []


def _growth(name: str, memory: Trend | None, seconds: float) -> list[str]:
    if memory is None:
        return []
    rise = memory.per_hour * seconds / 3600
    slow = memory.per_hour <= MAX_MB_PER_HOUR or rise <= MIN_RISE_MB
    if slow or memory.per_hour <= STANDARD_ERRORS * memory.error:
        return []
    return [f"{name}: memory grows by {memory.per_hour:.1f} MB/hour (standard error {memory.error:.1f})"]


def _unsteady(what: str, numbers: Sequence[int]) -> list[str]:
    median = statistics.median(numbers)
    if max(abs(number - median) for number in numbers) <= MAX_FROM_MEDIAN:
        return []
    return [f"{what} are not constant: {_range(numbers)}, median {median:g}"]


def _rise(what: str, numbers: Sequence[int]) -> list[str]:
    middle = len(numbers) // 2
    if middle < MIN_POINTS:
        return []
    before, after = min(numbers[:middle]), min(numbers[middle:])
    if after <= before + MAX_FROM_MEDIAN:
        return []
    return [f"{what} rise: never below {before} in the third quarter, {after} in the last"]


def _backlog(samples: Sequence[Sample], rate: float) -> list[str]:
    waiting = min(sample.events_waiting + sample.alerts_waiting for sample in samples)
    if waiting <= rate * MAX_BACKLOG_SECS:
        return []
    return [f"queues: never less than {waiting:,} events and alerts waited in the second half"]


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]
