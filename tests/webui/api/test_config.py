"""/config and /history, on real stores."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.config.dynamic import DYNAMIC
from mutt_appliance.queueing.keys import KeySpace
from tests.conftest import MakeSettings, Stores
from tests.webui.conftest import Api


def test_every_dynamic_setting_is_listed_with_its_limits(api: Api) -> None:
    found = api("GET", "/config").json()
    assert found["enabled"] is True
    assert [each["name"] for each in found["items"]] == list(DYNAMIC)
    limit = next(each for each in found["items"] if each["name"] == "moog_rate_limit")
    assert (limit["value"], limit["default"], limit["changed"], limit["version"]) == (50, 50, False, 0)
    assert (limit["kind"], limit["minimum"]) == ("integer", 1)


def test_a_setting_is_changed_put_back_and_every_change_noted(api: Api, history: Any) -> None:
    before = api("GET", "/config/moog_rate_limit")
    assert before.headers["ETag"] == '"0"'
    changed = api("PUT", "/config/moog_rate_limit", {"value": 10}, headers={"If-Match": '"0"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"1"')
    assert (changed.json()["value"], changed.json()["default"], changed.json()["changed"]) == (10, 50, True)
    reset = api("DELETE", "/config/MOOG_RATE_LIMIT")
    assert (reset.json()["value"], reset.json()["changed"], reset.json()["version"]) == (50, False, 2)
    assert history()[-2:] == [
        ("administrator", "update", "config", "moog_rate_limit"),
        ("administrator", "reset", "config", "moog_rate_limit"),
    ]
    last, first = api("GET", "/config/history?key=moog_rate_limit").json()["items"]
    assert (first["before"], first["after"]) == ({}, {"value": 10})
    assert (last["before"], last["after"]) == ({"value": 10}, {})
    back = api("POST", f"/config/history/{last['id']}/revert")
    assert back.json()["value"] == 10
    assert api("GET", "/history?entity=config&limit=1").json()["items"][0]["action"] == "revert"


def test_whoever_read_an_older_value_is_refused(api: Api) -> None:
    assert api("PUT", "/config/moog_rate_limit", {"value": 10}, headers={"If-Match": '"0"'}).ok
    late = api("PUT", "/config/moog_rate_limit", {"value": 20}, headers={"If-Match": '"0"'})
    assert late.status_code == 412
    assert api("GET", "/config/moog_rate_limit").json()["value"] == 10


@pytest.mark.parametrize(
    ("key", "value", "status", "words"),
    [
        ("moog_rate_limit", 0, 422, "must be a whole number"),
        ("moog_rate_limit", "", 422, "must be a whole number"),
        ("alerter_shed_mode", "drop", 422, "must be one of dlq, defer"),
        ("alerter_queue_warn_threshold", 3000, 422, "must not be less than"),
        ("redis_host", "x", 404, "is no dynamic setting"),
        ("%3Cscript%3E", 1, 404, "is no dynamic setting"),
    ],
)
def test_what_cannot_be_is_refused_in_words(api: Api, key: str, value: Any, status: int, words: str) -> None:
    answer = api("PUT", f"/config/{key}", {"value": value})
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    if status == 422:
        assert answer.json()["errors"][0]["field"] == "body.value"


def test_a_default_that_contradicts_another_change_is_refused(api: Api) -> None:
    """Both would be left out: the page would show 4000, and 1000 would be in force."""
    assert api("PUT", "/config/alerter_queue_shed_threshold", {"value": 5000}).ok
    assert api("PUT", "/config/alerter_queue_warn_threshold", {"value": 4000}).ok
    refused = api("DELETE", "/config/alerter_queue_shed_threshold")
    assert refused.status_code == 409
    assert "alerter_queue_warn_threshold=4000" in refused.json()["detail"]
    (entry,) = api("GET", "/config/history?key=alerter_queue_shed_threshold").json()["items"]
    assert api("POST", f"/config/history/{entry['id']}/revert").status_code == 409
    assert api("GET", "/config/alerter_queue_shed_threshold").json()["value"] == 5000
    assert api("DELETE", "/config/alerter_queue_warn_threshold").ok
    assert api("DELETE", "/config/alerter_queue_shed_threshold").ok


def test_a_value_that_is_left_out_is_not_shown_as_in_force(
    api: Api, client: redis.Redis, settings: Settings
) -> None:
    """As after an upgrade with other limits, or a threshold that was changed in the environment."""
    key = KeySpace(settings).config
    client.hset(key, "alerter_queue_warn_threshold", '{"value":3000,"version":4}')
    client.hset(key, "moog_rate_limit", '{"value":"many","version":2}')
    warn = api("GET", "/config/alerter_queue_warn_threshold").json()
    assert (warn["value"], warn["changed"], warn["version"]) == (1000, True, 4)
    assert "must not be less than" in warn["left_out"]
    limit = next(each for each in api("GET", "/config").json()["items"] if each["name"] == "moog_rate_limit")
    assert limit["value"] == 50
    assert "must be a whole number" in limit["left_out"]
    assert api("PUT", "/config/moog_rate_limit", {"value": 10}).json()["left_out"] is None
    # What is left out already keeps nobody from going back.
    assert api("DELETE", "/config/alerter_queue_shed_threshold").ok
    assert api("DELETE", "/config/alerter_queue_warn_threshold").json()["left_out"] is None


def test_a_change_that_cannot_be_noted_is_taken_back(
    api: Api, stores: Stores, client: redis.Redis, settings: Settings
) -> None:
    assert api("PUT", "/config/moog_rate_limit", {"value": 10}).ok
    stores.postgres.execute("ALTER TABLE config_audit_log RENAME TO away", settings.db_name)
    assert api("PUT", "/config/moog_rate_limit", {"value": 20}).status_code == 503
    assert b'"value":10' in client.hget(KeySpace(settings).config, "moog_rate_limit")  # type: ignore[operator]


def test_only_settings_are_reverted_here(api: Api) -> None:
    api("POST", "/dev-hosts", {"hostname": "lab"})
    (entry,) = api("GET", "/history").json()["items"]
    assert api("POST", f"/config/history/{entry['id']}/revert").status_code == 404
    assert api("POST", "/config/history/999999/revert").status_code == 404


def test_only_an_administrator_changes_settings(api: Api) -> None:
    operator = api.named("olga", "operator")
    assert operator("GET", "/config").ok
    assert operator("PUT", "/config/moog_rate_limit", {"value": 10}).status_code == 403
    assert operator("DELETE", "/config/moog_rate_limit").status_code == 403


class TestSwitchedOff:
    """DYNAMIC_CONFIG_ENABLED=false."""

    @pytest.fixture
    def settings(self, make_settings: MakeSettings, settings: Settings) -> Settings:
        return make_settings(dynamic_config_enabled=False)

    def test_settings_are_shown_and_not_changed(self, api: Api) -> None:
        assert api("GET", "/config").json()["enabled"] is False
        answer = api("PUT", "/config/moog_rate_limit", {"value": 10})
        assert answer.status_code == 409
        assert "DYNAMIC_CONFIG_ENABLED=false" in answer.json()["detail"]
