"""The files of etc/prometheus as data, and the programs that check them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "etc" / "prometheus"
ALERTS = FOLDER / "mutt-alerts.yml"
RECORDING = FOLDER / "mutt-recording.yml"
SCRAPE = FOLDER / "mutt-scrape.yml"
HOSTS = FOLDER / "mutt-hosts.yml"
DASHBOARD = REPOSITORY / "etc" / "grafana" / "dashboards" / "mutt.json"
METRIC = re.compile(r"\bmutt_[a-z_]+")
OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


@dataclass(frozen=True)
class Alert:
    """One rule of mutt-alerts.yml; `waits_minutes` is its `for`."""

    name: str
    expr: str
    waits_minutes: int
    labels: dict[str, str]
    annotations: dict[str, str]


def groups_of(path: Path) -> list[dict[str, Any]]:
    """The groups of a file of rules."""
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return groups


def alerts() -> list[Alert]:
    """Every alert, in the order of the file."""
    return [
        Alert(
            rule["alert"],
            rule["expr"],
            _minutes(rule.get("for", "0m")),
            rule["labels"],
            rule["annotations"],
        )
        for group in groups_of(ALERTS)
        for rule in group["rules"]
    ]


def recorded() -> dict[str, list[str]]:
    """Expressions of every recorded series by its name."""
    found: dict[str, list[str]] = {}
    for group in groups_of(RECORDING):
        for rule in group["rules"]:
            found.setdefault(rule["record"], []).append(rule["expr"])
    return found


def metrics_in(expressions: Iterable[str]) -> set[str]:
    """Names of MUTT's own metrics in PromQL, without those of recording rules (they have a colon)."""
    without_records = (re.sub(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", "", expr) for expr in expressions)
    return {name for expr in without_records for name in METRIC.findall(expr)}


def promtool(*arguments: str | Path) -> str:
    """What promtool says; AssertionError when it is not content."""
    return _checked("promtool", *arguments)


def amtool(*arguments: str | Path) -> str:
    """What amtool says; AssertionError when it is not content."""
    return _checked("amtool", *arguments)


def _checked(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _minutes(duration: str) -> int:
    number, unit = int(duration[:-1]), duration[-1]
    return number * {"m": 1, "h": 60}[unit]
