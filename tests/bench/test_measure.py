"""Repeating in turns, medians, percentiles."""

from __future__ import annotations

import pytest

from bench.measure import Series, in_turns, percentile


def test_runs_alternate_and_the_order_turns_round_each_time() -> None:
    order: list[str] = []

    def runs(name: str) -> float:
        order.append(name)
        return float(len(order))

    first, second = in_turns(2, [lambda: runs("a"), lambda: runs("b")])
    assert order == ["a", "b", "b", "a"]
    assert (first.values, second.values) == ((1.0, 4.0), (2.0, 3.0))


def test_the_median_counts_and_the_spread_tells_the_noise() -> None:
    series = Series((10.0, 30.0, 20.0))
    assert series.median == 20.0
    assert series.spread == 1.0


@pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == value


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
