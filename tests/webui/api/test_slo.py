"""/slo, with a stand-in for Prometheus, and without one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.outcomes import LONG, SHORT
from mutt_appliance.telemetry.rates import counter_keys
from mutt_appliance.webui.slo import BURN_WINDOWS
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


def counted(client: redis.Redis, settings: Settings, component: str, *, success: int, fail: int) -> None:
    """As the processes of `component` would have counted in this moment."""
    for outcome, number in (("success", success), ("fail", fail)):
        prefix = KeySpace(settings).outcomes(component, outcome)
        for key, _ in counter_keys(prefix, time.time(), (SHORT, LONG)):
            client.incrby(key, number)


def test_levels_have_the_shape_of_the_specification_and_say_where_they_come_from(
    api: Api, prometheus: PrometheusStub
) -> None:
    found = api("GET", "/slo").json()
    assert found["window_hours"] == 24
    assert found["components"]["ingestor"] == {
        "target": 0.995, "availability": 0.999, "error_budget_remaining": 0.8, "burn_rate": 0.2, "state": "ok",
        "window_hours": 24, "source": "prometheus", "burn_rates": dict.fromkeys(BURN_WINDOWS, 0.2),
        "burning": "none",
    }  # fmt: skip
    forwarder = found["components"]["forwarder"]
    assert (forwarder["state"], forwarder["burning"]) == ("breached", "page")
    api("GET", "/slo")
    assert len(prometheus.queries) == 2 * (1 + len(BURN_WINDOWS))


@pytest.mark.parametrize("metric", ["mutt_ingest_requests_total", "mutt_moog_requests_total"])
def test_prometheus_is_asked_with_the_expressions_of_the_specification(
    api: Api, prometheus: PrometheusStub, metric: str
) -> None:
    api("GET", "/slo")
    specified = f'sum(rate({metric}{{status="success"}}[24h])) / sum(rate({metric}[24h]))'
    assert specified in prometheus.queries


def test_targets_and_window_are_dynamic(api: Api, prometheus: PrometheusStub) -> None:
    api("GET", "/slo")
    assert api("PUT", "/config/slo_ingestor_target", {"value": 0.9995}).ok
    assert api("GET", "/slo").json()["components"]["ingestor"]["state"] == "breached"
    assert api("PUT", "/config/slo_window_hours", {"value": 12}).ok
    assert api("GET", "/slo").json()["window_hours"] == 12
    assert any("[12h]" in query for query in prometheus.queries)


@pytest.mark.parametrize("status", [200, 500])
def test_without_data_from_prometheus_the_own_counters_answer(
    api: Api, client: redis.Redis, settings: Settings, prometheus: PrometheusStub, status: int
) -> None:
    prometheus.values.clear()
    prometheus.status = status
    own_counters_answer(api, client, settings)


def test_one_component_may_be_known_to_prometheus_and_the_other_not(
    api: Api, client: redis.Redis, settings: Settings, prometheus: PrometheusStub
) -> None:
    del prometheus.values["mutt_moog_requests_total"]
    counted(client, settings, "forwarder", success=1, fail=0)
    components = api("GET", "/slo").json()["components"]
    assert (components["ingestor"]["source"], components["forwarder"]["source"]) == ("prometheus", "mutt")


class TestAway:
    """Nobody listens at PROMETHEUS_URL."""

    @pytest.fixture
    def settings(self, make_settings: MakeSettings, settings: Settings) -> Settings:
        return make_settings(prometheus_url=f"http://127.0.0.1:{free_port()}")

    def test_the_own_counters_answer(self, api: Api, client: redis.Redis, settings: Settings) -> None:
        own_counters_answer(api, client, settings)

    def test_without_requests_the_state_is_unknown(self, api: Api) -> None:
        answer = api("GET", "/slo")
        assert answer.status_code == 200
        component = answer.json()["components"]["ingestor"]
        assert (component["state"], component["availability"], component["burn_rate"]) == (
            "unknown",
            None,
            None,
        )
        assert set(component["burn_rates"].values()) == {None}


def own_counters_answer(api: Api, client: redis.Redis, settings: Settings) -> None:
    counted(client, settings, "ingestor", success=999, fail=1)
    counted(client, settings, "forwarder", success=98, fail=2)
    components = api("GET", "/slo").json()["components"]
    ingestor, forwarder = components["ingestor"], components["forwarder"]
    assert (ingestor["availability"], ingestor["burn_rate"], ingestor["source"]) == (0.999, 0.2, "mutt")
    assert (forwarder["availability"], forwarder["burn_rate"], forwarder["state"]) == (0.98, 2.0, "breached")
    assert set(forwarder["burn_rates"]) == set(BURN_WINDOWS)
    assert set(forwarder["burn_rates"].values()) == {2.0}
