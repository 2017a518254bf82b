"""Who starts when, and who stops next."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.supervisor.order import Standing, may_start, next_to_stop, passed


def standing(level: int, **facts: object) -> Standing:
    """A process that was not started yet, unless `facts` say otherwise."""
    values = {"serves": False, "failed_ever": False, "waited_secs": None, "patience_secs": math.inf}
    return Standing(level, **{**values, **facts})  # type: ignore[arg-type]


def test_a_level_waits_for_every_process_below_it() -> None:
    below = [standing(10, serves=True), standing(10, waited_secs=3.0)]
    assert not may_start(20, below)
    assert may_start(20, [below[0], standing(10, serves=True)])


def test_a_level_does_not_wait_for_its_own_or_higher_ones() -> None:
    assert may_start(20, [standing(20), standing(40)])


def test_a_process_that_failed_once_holds_nobody_up() -> None:
    assert passed(standing(20, failed_ever=True))


def test_patience_ends_only_after_the_start() -> None:
    assert not passed(standing(20, patience_secs=5.0))
    assert not passed(standing(20, patience_secs=5.0, waited_secs=4.9))
    assert passed(standing(20, patience_secs=5.0, waited_secs=5.0))


@given(st.lists(st.integers(0, 50)))
def test_levels_stop_from_the_highest_down(levels: list[int]) -> None:
    alive = list(levels)
    order = []
    while (level := next_to_stop(alive)) is not None:
        order.append(level)
        alive = [other for other in alive if other != level]
    assert order == sorted(set(levels), reverse=True)
