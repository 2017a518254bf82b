"""/processes, on a real supervisor with trivial roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mutt_appliance.config import Settings
from tests.conftest import MakeSettings
from tests.supervisor.mini_appliance import EVERYBODY, Mini
from tests.support.waiting import wait_until
from tests.webui.conftest import Api


@pytest.fixture(scope="module")
def mini() -> Iterator[Mini]:
    """An appliance for the whole file."""
    with Mini() as appliance:
        yield appliance.serve()


@pytest.fixture
def settings(make_settings: MakeSettings, settings: Settings, mini: Mini) -> Settings:
    """The web UI of the tests, as if it were a child of that appliance."""
    return make_settings(mutt_runtime_dir=mini.env["MUTT_RUNTIME_DIR"])


def processes(api: Api) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in api("GET", "/processes").json()["items"]}


def test_every_process_is_listed_as_the_supervisor_sees_it(api: Api, mini: Mini) -> None:
    found = processes(api)
    assert set(found) >= EVERYBODY
    alerter = found["alerter:1"]
    assert (alerter["pool"], alerter["state"], alerter["serves"]) == ("alerter", "RUNNING", True)
    assert alerter["pid"] == mini.children()["alerter:1"]


def test_a_restarted_process_is_another_one(api: Api, mini: Mini, history: Any) -> None:
    before = mini.children()["alerter:0"]
    answer = api("POST", "/processes/alerter:0/restart")
    assert answer.status_code == 202
    assert answer.json()["pid"] == before

    def again() -> bool:
        alerter = processes(api)["alerter:0"]
        return bool(alerter["serves"]) and alerter["pid"] not in (0, before)

    wait_until(again, message="another process serves")
    assert history()[-1] == ("administrator", "restart", "process", "alerter:0")


def test_the_web_ui_comes_back_by_the_supervisor(api: Api, mini: Mini) -> None:
    before = mini.children()["webui:0"]
    assert api("POST", "/processes/webui:0/restart").status_code == 202
    wait_until(
        lambda: processes(api)["webui:0"]["serves"] and processes(api)["webui:0"]["pid"] != before,
        message="another web UI serves",
    )


def test_a_pool_is_scaled(api: Api, history: Any) -> None:
    answer = api("PUT", "/processes/alerter/scale", {"count": 3})
    assert (answer.status_code, answer.json()) == (200, {"pool": "alerter", "before": 2, "now": 3})
    wait_until(lambda: processes(api).get("alerter:2", {}).get("serves"), message="the third serves")
    assert api("PUT", "/processes/alerter/scale", {"count": 2}).json()["now"] == 2
    wait_until(lambda: "alerter:2" not in processes(api), message="the third has left")
    assert history()[-1] == ("administrator", "scale", "process", "alerter")


def test_a_reload_tells_what_each_alerter_said(api: Api) -> None:
    answer = api("POST", "/processes/reload")
    assert answer.status_code == 200, answer.text
    assert {each["name"] for each in answer.json()["processes"]} >= {"alerter:0", "alerter:1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/processes/alerter:9/restart", None, 404, "no such process"),
        ("POST", "/processes/%3Cb%3E/restart", None, 404, "no such process"),
        ("PUT", "/processes/webui/scale", {"count": 2}, 409, "no pool that can be scaled"),
        ("PUT", "/processes/alerter/scale", {"count": 0}, 422, "count"),
        ("PUT", "/processes/alerter/scale", {"count": 65}, 422, "count"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    api: Api, method: str, path: str, body: Any, status: int, words: str
) -> None:
    answer = api(method, path, body)
    assert answer.status_code == status, answer.text
    assert words in answer.text


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_administrator_touches_processes(api: Api, role: str) -> None:
    other = api.named("somebody", role)
    assert other("GET", "/processes").status_code == 200
    assert other("POST", "/processes/alerter:0/restart").status_code == 403
    assert other("PUT", "/processes/alerter/scale", {"count": 3}).status_code == 403
    assert other("POST", "/processes/reload").status_code == 403
