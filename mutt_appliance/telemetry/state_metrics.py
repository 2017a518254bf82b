"""Metrics that are read at each scrape from what processes and the supervisor say about themselves in files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mutt_appliance.telemetry.health import pool_health
from mutt_appliance.telemetry.process_table import read_process_table


class HealthCollector(Collector):
    """What the processes of a role say of the things they depend on, as in /health."""

    def __init__(self, runtime_dir: Path, role: str) -> None:
        self._runtime_dir = runtime_dir
        self._role = role

    def collect(self) -> Iterable[Metric]:
        """A sample for each component of each process; a silent process has none."""
        family = GaugeMetricFamily(
            "mutt_component_up",
            "1: what a process depends on is well (redis, database, moogsoft, rules …), 0: it is not",
            labels=["process", "component"],
        )
        for process, state in pool_health(self._runtime_dir, self._role)[1]["processes"].items():
            if state["status"] != "not responding":
                for component, its in state.get("components", {}).items():
                    family.add_metric([process, component], float(its["ok"]))
        return [family]


class ProcessCollector(Collector):
    """The supervisor's table."""

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir

    def collect(self) -> Iterable[Metric]:
        """Two samples for each process."""
        up = GaugeMetricFamily(
            "mutt_process_up",
            "1: the process serves, or has done its one task; 0: it does not",
            labels=["process"],
        )
        restarts = CounterMetricFamily(
            "mutt_process_restarts_total",
            "Times the supervisor has started the process again",
            labels=["process"],
        )
        for row in read_process_table(self._runtime_dir):
            up.add_metric([row.name], float(row.up))
            restarts.add_metric([row.name], row.restarts)
        return [up, restarts]
