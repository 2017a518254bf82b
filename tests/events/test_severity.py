"""Severities as numbers and names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.events.severity import SEVERITY_NAMES, parse_severity


@pytest.mark.parametrize(("number", "name"), list(enumerate(SEVERITY_NAMES)))
def test_a_severity_is_known_by_number_text_and_name(number: int, name: str) -> None:
    for written in (number, str(number), f" {number} ", name, name.upper(), name.capitalize()):
        assert parse_severity(written) == number


@pytest.mark.parametrize(
    ("short", "number"), [("emerg", 0), ("panic", 0), ("crit", 2), ("err", 3), ("warn", 4), ("info", 6)]
)
def test_the_usual_short_forms_are_known(short: str, number: int) -> None:
    assert parse_severity(short) == number


def test_none_stays_none() -> None:
    assert parse_severity(None) is None


@given(
    st.integers() | st.floats() | st.text(max_size=10) | st.booleans() | st.lists(st.integers(), max_size=2)
)
def test_anything_gives_a_severity_or_says_what_is_allowed(value: object) -> None:
    try:
        assert parse_severity(value) in range(8)
    except ValueError as error:
        assert "0 to 7" in str(error)
