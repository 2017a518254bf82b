"""What the web UI's /metrics tells of the whole appliance."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis
import requests

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.outcomes import COMPONENTS, LONG, SHORT
from mutt_appliance.telemetry.health import HealthBoard
from mutt_appliance.telemetry.process_table import ProcessRow, ProcessTable
from mutt_appliance.telemetry.rates import counter_keys
from mutt_appliance.webui.gauges import months_covered
from mutt_appliance.webui.slo import BURN_WINDOWS
from tests.support.waiting import wait_until

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("months", "ahead"),
    [
        (["2026_10", "2026_11", "2026_12", "2027_01"], 2),
        (["2026_11", "2027_01"], 0),
        (["2026_12"], -1),
        ([], -1),
        ([f"{2026 + (10 + n) // 12}_{(10 + n) % 12 + 1:02}" for n in range(30)], 24),
    ],
)
def test_months_count_up_to_the_first_that_is_missing(months: list[str], ahead: int) -> None:
    assert months_covered([f"event_audit_log_{month}" for month in months], NOW) == ahead


@pytest.fixture
def some_requests(client: redis.Redis, settings: Settings) -> None:
    """Half of the ingestor's requests of this moment failed; the forwarder had none."""
    for outcome in ("success", "fail"):
        prefix = KeySpace(settings).outcomes("ingestor", outcome)
        for key, _ in counter_keys(prefix, time.time(), (SHORT, LONG)):
            client.incrby(key, 50)


@pytest.fixture
def scrape(some_requests: None, url: str) -> Callable[[], dict[str, float]]:
    """Samples of /metrics by name and labels."""

    def read() -> dict[str, float]:
        lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    return read


def test_service_levels_and_partitions_are_metrics(
    scrape: Callable[[], dict[str, float]], settings: Settings
) -> None:
    def read() -> dict[str, float] | None:
        found = scrape()
        known = found.get("mutt_audit_partitions_ahead", -1) >= 0 and "mutt_slo_target" in str(found)
        return found if known else None

    found = wait_until(read, message="both have been looked at")
    assert found is not None
    assert found["mutt_audit_partitions_ahead"] == settings.audit_partitions_ahead
    assert found['mutt_slo_target{component="ingestor"}'] == settings.slo_ingestor_target
    assert found['mutt_slo_availability{component="ingestor"}'] == 0.5
    assert found['mutt_slo_error_budget_remaining{component="ingestor"}'] == -99
    for window in BURN_WINDOWS:
        assert found[f'mutt_slo_burn_rate{{component="ingestor",window="{window}"}}'] == 100
    unknown = found['mutt_slo_availability{component="forwarder"}']
    assert unknown != unknown, "not a number: nobody knows"
    assert len(COMPONENTS) == sum(name.startswith("mutt_slo_target") for name in found)


def test_processes_and_what_they_depend_on_are_metrics(
    scrape: Callable[[], dict[str, float]], settings: Settings
) -> None:
    ProcessTable(settings.mutt_runtime_dir).show(
        [ProcessRow("alerter:0", True, 3), ProcessRow("redis:0", False, 0)]
    )
    board = HealthBoard(settings.mutt_runtime_dir, "webui", 1)
    board.set("database", False, "refused")
    board.publish()
    found = scrape()
    assert found['mutt_process_up{process="alerter:0"}'] == 1
    assert found['mutt_process_up{process="redis:0"}'] == 0
    assert found['mutt_process_restarts_total{process="alerter:0"}'] == 3
    assert found['mutt_component_up{component="database",process="webui:0"}'] == 1
    assert found['mutt_component_up{component="database",process="webui:1"}'] == 0
