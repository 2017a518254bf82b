"""What was measured, as a table for people and as the one JSON object of the last line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Target:
    """What a figure must reach."""

    kind: Literal["at least", "at most"]
    value: float

    def reached(self, value: float) -> bool:
        """True when `value` is good enough."""
        return value >= self.value if self.kind == "at least" else value <= self.value

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g}"


# Every key of the JSON object, in order; None: measured for its own sake.
TARGETS: dict[str, Target | None] = {
    "ingest_batch_ratio": Target("at least", 0.25),
    "ingest_single_ratio": Target("at least", 0.6),
    "alerter_ratio": Target("at least", 30),
    "frozen_alerter_ratio": Target("at least", 0.8),
    "matcher_scale_ratio": Target("at most", 2),
    "matcher_vs_re_ratio": Target("at least", 100),
    "e2e_p50_ms": None,
    "e2e_p99_ms": None,
    "pss_idle_mb": None,
    "pss_loaded_mb": None,
    "ready_running_stores_s": Target("at most", 5),
    "ready_first_embedded_s": Target("at most", 15),
    "ctl_status_s": Target("at most", 1),
    "webui_first_page_p95_ms": Target("at most", 100),
    "webui_far_page_p95_ms": Target("at most", 100),
    "webui_by_host_p95_ms": Target("at most", 100),
    "webui_by_rule_p95_ms": Target("at most", 100),
    "webui_by_day_p95_ms": Target("at most", 100),
    "webui_rules_p95_ms": Target("at most", 100),
    "webui_dashboard_p95_ms": Target("at most", 50),
    "webui_ingest_ratio": Target("at least", 0.95),
}
COLUMNS = ("", "figure", "reference", "ratio", "target", "reached")


@dataclass(frozen=True)
class Figure:
    """One line of the table. `key` is its name in the JSON object (None: for information).

    `value` is what the JSON object has: the ratio where there is a `reference`, else the figure itself.
    """

    key: str | None
    name: str
    figure: str
    value: float
    reference: str = ""
    remark: str = ""

    @property
    def target(self) -> Target | None:
        """What it must reach, if anything."""
        return TARGETS[self.key] if self.key else None

    @property
    def cells(self) -> tuple[str, ...]:
        """The line of the table."""
        target = self.target
        reached = "" if target is None else "yes" if target.reached(self.value) else "NO"
        ratio = f"{self.value:.2f}" if self.reference else ""
        return self.name, self.figure, self.reference, ratio, str(target or ""), reached


def table(figures: Sequence[Figure]) -> str:
    """All figures in columns, remarks below their line."""
    rows = [COLUMNS, *(figure.cells for figure in figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    out = [lines[0], "-" * max(map(len, lines))]
    for line, figure in zip(lines[1:], figures, strict=True):
        out.append(line)
        if figure.remark:
            out.append(f"    {figure.remark}")
    return "\n".join(out)


def json_line(figures: Sequence[Figure]) -> str:
    """One JSON object with exactly the keys of TARGETS; null for what was not measured."""
    measured = {figure.key: round(figure.value, 3) for figure in figures if figure.key}
    return json.dumps({key: measured.get(key) for key in TARGETS})


def rate(value: float, unit: str) -> str:
    """`152,300 events/s`."""
    return f"{value:,.0f} {unit}"
