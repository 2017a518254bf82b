"""/slo, with a stand-in for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mutt_appliance.config import Settings
from tests.conftest import MakeSettings
from tests.support.prometheus_stub import PrometheusStub
from tests.support.waiting import free_port
from tests.webui.conftest import Api


@pytest.fixture
def prometheus() -> Iterator[PrometheusStub]:
    with PrometheusStub(mutt_ingest_requests_total="0.999", mutt_moog_requests_total="0.5") as stub:
        yield stub


@pytest.fixture
def settings(make_settings: MakeSettings, settings: Settings, prometheus: PrometheusStub) -> Settings:
    return make_settings(prometheus_url=prometheus.url + "/")


def test_levels_have_the_shape_of_the_specification(api: Api, prometheus: PrometheusStub) -> None:
    found = api("GET", "/slo").json()
    assert found["window_hours"] == 24
    assert found["components"]["ingestor"] == {
        "target": 0.995, "availability": 0.999, "error_budget_remaining": 0.8, "burn_rate": 0.2, "state": "ok",
        "window_hours": 24,
    }  # fmt: skip
    assert found["components"]["forwarder"]["state"] == "breached"
    assert any('mutt_ingest_requests_total{status="success"}[24h]' in query for query in prometheus.queries)
    api("GET", "/slo")
    assert len(prometheus.queries) == 2


def test_targets_and_window_are_dynamic(api: Api, prometheus: PrometheusStub) -> None:
    api("GET", "/slo")
    assert api("PUT", "/config/slo_ingestor_target", {"value": 0.9995}).ok
    assert api("GET", "/slo").json()["components"]["ingestor"]["state"] == "breached"
    assert api("PUT", "/config/slo_window_hours", {"value": 6}).ok
    assert api("GET", "/slo").json()["window_hours"] == 6
    assert "[6h]" in prometheus.queries[-1]


@pytest.mark.parametrize("status", [200, 500])
def test_without_data_the_state_is_unknown(api: Api, prometheus: PrometheusStub, status: int) -> None:
    prometheus.values.clear()
    prometheus.status = status
    nobody_knows(api)


class TestAway:
    """Nobody listens at PROMETHEUS_URL."""

    @pytest.fixture
    def settings(self, make_settings: MakeSettings, settings: Settings) -> Settings:
        return make_settings(prometheus_url=f"http://127.0.0.1:{free_port()}")

    def test_the_state_is_unknown(self, api: Api) -> None:
        nobody_knows(api)


def nobody_knows(api: Api) -> None:
    answer = api("GET", "/slo")
    assert answer.status_code == 200
    component = answer.json()["components"]["ingestor"]
    assert (component["state"], component["availability"], component["burn_rate"]) == ("unknown", None, None)
