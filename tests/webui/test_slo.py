"""Availability against its target."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.webui.slo import level_of, value_of


def test_the_example_of_the_specification() -> None:
    level = level_of(0.999, 0.995)
    assert (level.availability, level.error_budget_remaining, level.burn_rate, level.state) == (
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
    assert level_of(availability, 0.99).state == state


def test_nobody_knows() -> None:
    level = level_of(None, 0.99)
    assert (level.availability, level.error_budget_remaining, level.state) == (None, None, "unknown")


@given(st.floats(0, 1), st.floats(0.5, 0.99999))
def test_budget_and_burn_rate_are_two_sides_of_one_thing(availability: float, target: float) -> None:
    level = level_of(availability, target)
    assert level.burn_rate is not None
    assert level.error_budget_remaining == pytest.approx(1 - level.burn_rate, abs=1e-3)


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
