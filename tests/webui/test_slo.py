"""Availability against its target."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.webui.slo import (
    BURN_PAIRS,
    BURN_WINDOWS,
    BurnPair,
    Level,
    Measured,
    burning,
    level_of,
    value_of,
)


def level(availability: float | None, target: float, **in_windows: float | None) -> Level:
    return level_of(Measured("mutt", availability, in_windows), target)


def test_the_example_of_the_specification() -> None:
    found = level(0.999, 0.995)
    assert (found.availability, found.error_budget_remaining, found.burn_rate, found.state) == (
        0.999,
        0.8,
        0.2,
        "ok",
    )


@pytest.mark.parametrize(
    ("availability", "state"),
    [
        (1.0, "ok"),
        (0.9925, "ok"),
        (0.9915, "warning"),
        (0.99, "warning"),
        (0.98, "breached"),
        (0, "breached"),
    ],
)
def test_the_state_follows_what_is_left_of_the_budget(availability: float, state: str) -> None:
    assert level(availability, 0.99).state == state


def test_nobody_knows() -> None:
    found = level(None, 0.99)
    assert (found.availability, found.error_budget_remaining, found.state) == (None, None, "unknown")


@given(st.floats(0, 1), st.floats(0.5, 0.99999))
def test_budget_and_burn_rate_are_two_sides_of_one_thing(availability: float, target: float) -> None:
    found = level(availability, target)
    assert found.burn_rate is not None
    assert found.error_budget_remaining == pytest.approx(1 - found.burn_rate, abs=1e-3)


def test_each_window_has_a_burn_rate_or_none() -> None:
    found = level(0.999, 0.99, **{"5m": 0.5, "1h": None, "6h": 1.0})
    assert found.burn_rates == {"5m": 50.0, "1h": None, "6h": 0.0}
    assert (found.source, found.burning) == ("mutt", "none")


@pytest.mark.parametrize("pair", BURN_PAIRS)
def test_a_burn_rate_is_urgent_when_both_windows_of_a_pair_exceed_its_factor(pair: BurnPair) -> None:
    assert {pair.long, pair.short} <= BURN_WINDOWS.keys()
    above = pair.factor + 0.01
    assert burning({pair.long: above, pair.short: above}) == pair.urgency
    for long, short in ((above, pair.factor), (pair.factor, above), (None, above), (above, None)):
        assert burning({pair.long: long, pair.short: short}) == "none"


def test_a_page_goes_before_a_ticket() -> None:
    assert burning(dict.fromkeys(BURN_WINDOWS, 100.0)) == "page"


def answer(*values: Any) -> dict[str, Any]:
    return {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.5, v]} for v in values]},
    }


@pytest.mark.parametrize(
    ("given_answer", "value"),
    [
        (answer("0.999"), 0.999),
        (answer("NaN"), None),
        (answer("+Inf"), None),
        (answer(), None),
        (answer("1", "1"), None),
        ({}, None),
        ([], None),
        (None, None),
        (answer(None), None),
    ],
)
def test_the_answer_of_prometheus_is_one_share_or_nothing(given_answer: Any, value: float | None) -> None:
    assert value_of(given_answer) == value
