"""Which settings can be changed while MUTT runs, and what holds then."""

from __future__ import annotations

from typing import Any

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.config.dynamic import DYNAMIC, DynamicError, describe, effective, parse

BASE = Settings()


@pytest.mark.parametrize("name", DYNAMIC)
def test_every_default_is_a_value_that_may_be_set(name: str) -> None:
    default = getattr(BASE, name)
    assert parse(name, default) == default
    assert parse(name, str(default)) == default


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("moog_rate_limit", 0, "must be a whole number"),
        ("moog_rate_limit", "abc", "must be a whole number"),
        ("moog_rate_limit", 1.5, "must be a whole number"),
        ("moog_rate_limit", True, "must be a whole number"),
        ("moog_rate_limit", None, "must be a whole number"),
        ("moog_rate_limit", [1], "must be a whole number"),
        (
            "moog_rate_limit",
            10**19,
            "must be a whole number of requests, 1 or more, and 9007199254740992 at most",
        ),
        ("moog_rate_limit", "9" * 400, "must be a whole number"),
        ("moog_rate_period", 1e-320, "must be a number of seconds, 0.001 to 3600"),
        ("alerter_shed_mode", "drop", "must be one of dlq, defer"),
        ("slo_ingestor_target", "nan", "must be a number, 0.5 to 0.99999"),
        ("slo_ingestor_target", 1, "must be a number, 0.5 to 0.99999"),
    ],
)
def test_what_it_cannot_be_is_said_with_what_it_must_be(name: str, value: Any, words: str) -> None:
    with pytest.raises(DynamicError, match=words):
        parse(name, value)


def test_changed_values_are_in_force_and_the_rest_is_as_it_was() -> None:
    made, faults = effective(BASE, {"moog_rate_limit": 10, "alerter_shed_mode": "defer"})
    assert faults == {}
    assert (made.moog_rate_limit, made.alerter_shed_mode) == (10, "defer")
    assert made.model_copy(update={"moog_rate_limit": 50, "alerter_shed_mode": "dlq"}) == BASE


def test_what_is_wrong_is_left_out_and_named() -> None:
    made, faults = effective(BASE, {"moog_rate_limit": -1, "redis_host": "x", "moog_max_retries": 7})
    assert set(faults) == {"moog_rate_limit", "redis_host"}
    assert (made.moog_rate_limit, made.redis_host, made.moog_max_retries) == (50, None, 7)


def test_thresholds_that_contradict_each_other_are_left_out() -> None:
    made, faults = effective(BASE, {"alerter_queue_warn_threshold": 5000})
    assert set(faults) == {"alerter_queue_warn_threshold"}
    assert made == BASE
    made, faults = effective(
        BASE, {"alerter_queue_warn_threshold": 5000, "alerter_queue_shed_threshold": 9000}
    )
    assert faults == {}
    assert made.alerter_queue_warn_threshold == 5000


def test_a_setting_is_described_with_its_limits() -> None:
    limit = describe("moog_rate_limit")
    assert (limit.kind, limit.minimum, limit.section) == ("integer", 1, "forwarder")
    assert describe("slo_ingestor_target").maximum == 0.99999
    assert describe("alerter_shed_mode").choices == ("dlq", "defer")
