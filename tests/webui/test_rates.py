"""Rates out of counters."""

from __future__ import annotations

import pytest

from mutt_appliance.telemetry.rates import counter_keys
from mutt_appliance.webui.rates import rate_keys, rates_of

NOON = 1_764_072_000.0
"""2025-11-25 12:00:00 UTC."""


def counts_of(*events: tuple[float, int]) -> dict[str, int]:
    """Counters after (time, events accepted then) …"""
    counts: dict[str, int] = {}
    for moment, amount in events:
        for key, _ in counter_keys("m", moment):
            counts[key] = counts.get(key, 0) + amount
    return counts


def test_averages_are_over_the_whole_minutes_and_the_begun_one() -> None:
    now = NOON + 30
    counts = counts_of((NOON + 10, 900), (NOON - 30, 900), (NOON - 600, 9000), (NOON - 3000, 36000))
    rates = rates_of("m", counts, now)
    assert rates.current_1m == pytest.approx(1800 / 90, abs=0.01)
    assert rates.avg_15m == pytest.approx(10800 / 930, abs=0.01)
    assert rates.avg_1h == pytest.approx(46800 / 3630, abs=0.01)


def test_the_chart_has_each_hour_of_a_day_and_the_present_one_last() -> None:
    counts = counts_of(
        (NOON + 100, 360), (NOON - 1800, 7200), (NOON - 23 * 3600, 3600), (NOON - 24 * 3600, 99999)
    )
    hours = rates_of("m", counts, NOON + 180).hours
    assert [label for label, _ in hours] == [f"{hour % 24:02}:00" for hour in range(13, 37)]
    assert hours[-1] == ("12:00", 2.0)
    assert hours[-2] == ("11:00", 2.0)
    assert hours[0] == ("13:00", 1.0)


def test_an_empty_appliance_has_zeros() -> None:
    rates = rates_of("m", {}, NOON)
    assert (rates.current_1m, rates.avg_15m, rates.avg_1h) == (0, 0, 0)
    assert {value for _, value in rates.hours} == {0}


def test_every_counter_that_is_needed_is_asked_for() -> None:
    now = NOON + 59
    everything = counts_of(*((now - 60 * n, 60) for n in range(24 * 60 - 1)))
    asked = set(rate_keys("m", now))
    some = {key: value for key, value in everything.items() if key in asked}
    assert rates_of("m", some, now) == rates_of("m", everything, now)
