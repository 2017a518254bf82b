"""mutt-ctl config on real stores."""

from __future__ import annotations

import json

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from tests.conftest import MakeSettings, Stores
from tests.support.ctl import Ctl, ctl_on
from tests.webui.conftest import prepared


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return prepared(make_settings())


@pytest.fixture
def ctl(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Ctl:
    monkeypatch.setenv("SUDO_USER", "ada")
    return ctl_on(settings)


def test_a_setting_is_read_changed_and_put_back_and_the_history_says_who(ctl: Ctl) -> None:
    assert ctl("config", "get", "moog_rate_limit").stdout == "50\n"
    assert ctl("config", "set", "MOOG_RATE_LIMIT", "10").stdout == "moog_rate_limit: 50 -> 10\n"
    assert ctl("config", "get", "moog_rate_limit").stdout == "10\n"
    assert "moog_rate_limit" in ctl("config", "get").stdout
    ctl("config", "set", "moog_rate_limit", "20")
    listed = json.loads(ctl("config", "history", "moog_rate_limit", "--json").stdout)
    assert [(each["action"], each["before"], each["after"]) for each in listed] == [
        ("update", {"value": 10}, {"value": 20}),
        ("update", {}, {"value": 10}),
    ]
    assert {each["changed_by"] for each in listed} == {"mutt-ctl (ada)"}
    assert ctl("config", "revert", listed[0]["id"]).stdout == "moog_rate_limit: 20 -> 10\n"
    assert ctl("config", "revert", listed[1]["id"]).stdout == "moog_rate_limit: 10 -> 50 (default)\n"
    ctl("config", "set", "moog_rate_limit", "30")
    assert ctl("config", "reset", "moog_rate_limit").stdout == "moog_rate_limit: 30 -> 50 (default)\n"
    assert "revert" in ctl("config", "history").stdout


def test_what_a_setting_cannot_be_is_refused_and_nothing_changes(
    ctl: Ctl, client: redis.Redis, settings: Settings
) -> None:
    assert (
        "must be a whole number of requests, 1 or more"
        in ctl("config", "set", "moog_rate_limit", "none", code=1).output
    )
    assert (
        "must not be less than" in ctl("config", "set", "alerter_queue_warn_threshold", "3000", code=1).output
    )
    assert "is no dynamic setting" in ctl("config", "set", "db_host", "x", code=2).output
    assert "there is no change 99" in ctl("config", "revert", "99", code=1).output
    assert client.exists(KeySpace(settings).config) == 0


def test_a_default_that_contradicts_another_change_is_refused(ctl: Ctl) -> None:
    ctl("config", "set", "alerter_queue_shed_threshold", "5000")
    ctl("config", "set", "alerter_queue_warn_threshold", "4000")
    said = ctl("config", "reset", "alerter_queue_shed_threshold", code=1).output
    assert "alerter_queue_warn_threshold=4000" in said
    assert "change alerter_queue_warn_threshold first" in said
    assert ctl("config", "get", "alerter_queue_shed_threshold").stdout == "5000\n"
    ctl("config", "reset", "alerter_queue_warn_threshold")
    ctl("config", "reset", "alerter_queue_shed_threshold")


def test_what_is_printed_is_what_is_in_force(ctl: Ctl, client: redis.Redis, settings: Settings) -> None:
    client.hset(KeySpace(settings).config, "moog_rate_limit", '{"value":0,"version":3}')
    assert ctl("config", "get", "moog_rate_limit").stdout == "50\n"
    assert "left out: 0: must be a whole number" in ctl("config", "get").stdout
    (shown,) = [
        each
        for each in json.loads(ctl("config", "get", "--json").stdout)
        if each["name"] == "moog_rate_limit"
    ]
    assert (shown["value"], shown["changed"], shown["version"]) == (50, True, 3)


def test_who_looked_at_an_older_version_is_told(ctl: Ctl) -> None:
    made = json.loads(ctl("config", "set", "moog_max_retries", "7", "--json").stdout)
    assert (made["value"], made["version"], made["changed"]) == (7, 1, True)
    assert (
        "somebody changed it"
        in ctl("config", "set", "moog_max_retries", "8", "--if-version", "0", code=1).output
    )
    ctl("config", "set", "moog_max_retries", "8", "--if-version", "1")


def test_what_cannot_be_noted_is_taken_back(
    ctl: Ctl, client: redis.Redis, settings: Settings, stores: Stores
) -> None:
    stores.postgres.execute("ALTER TABLE config_audit_log RENAME TO elsewhere", settings.db_name)
    ctl("config", "set", "moog_rate_limit", "10", code=1)
    stores.postgres.execute("ALTER TABLE elsewhere RENAME TO config_audit_log", settings.db_name)
    assert ctl("config", "get", "moog_rate_limit").stdout == "50\n"


def test_switched_off_nothing_can_be_changed(settings: Settings) -> None:
    off = ctl_on(settings, DYNAMIC_CONFIG_ENABLED="false")
    assert (
        "change the environment and restart MUTT"
        in off("config", "set", "moog_rate_limit", "9", code=1).output
    )
