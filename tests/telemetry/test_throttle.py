"""Which of many alike lines are written."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.telemetry.throttle import ANY_EVENT, KEYS_MOST, KINDS_MOST, LeftOut, Throttle

KEY = ("forwarder", "warning", "attempt failed")
OTHER = ("forwarder", "error", "redis is away")


def test_so_many_of_one_are_written_and_the_rest_is_counted() -> None:
    throttle = Throttle(limit=3, period_secs=60)
    assert [throttle.admits(KEY, "http_503", now) for now in range(5)] == [True, True, True, False, False]
    assert throttle.over(59.9) == []
    assert throttle.over(60) == [LeftOut(KEY, 2)]
    assert throttle.over(61) == []


def test_a_new_period_begins_with_the_first_line_after_the_old_one() -> None:
    throttle = Throttle(limit=1, period_secs=60)
    assert [throttle.admits(KEY, "", now) for now in (0, 1, 100, 101, 159, 161)] == [
        True, False, True, False, False, True,
    ]  # fmt: skip
    assert throttle.over(161) == [LeftOut(KEY, 1), LeftOut(KEY, 2)]


def test_another_event_and_another_level_are_counted_for_themselves() -> None:
    throttle = Throttle(limit=1, period_secs=60)
    assert throttle.admits(KEY, "", 0)
    assert not throttle.admits(KEY, "", 1)
    assert throttle.admits(OTHER, "", 1)
    assert throttle.admits((KEY[0], "error", KEY[2]), "", 1)


def test_the_first_line_of_another_kind_is_news_also_beyond_the_limit() -> None:
    throttle = Throttle(limit=1, period_secs=60)
    assert [throttle.admits(KEY, kind, 0) for kind in ("a", "a", "b", "b", "a", "c")] == [
        True, False, True, False, False, True,
    ]  # fmt: skip


def test_kinds_without_end_fill_nothing() -> None:
    throttle = Throttle(limit=2, period_secs=60)
    written = sum(throttle.admits(KEY, f"kind {number}", 0) for number in range(1000))
    assert written == KINDS_MOST
    assert throttle.over(math.inf) == [LeftOut(KEY, 1000 - KINDS_MOST)]


def test_events_without_end_share_a_limit_when_they_become_too_many() -> None:
    throttle = Throttle(limit=2, period_secs=60)
    written = sum(throttle.admits(("m", "error", f"text {n}"), "", 0) for n in range(KEYS_MOST + 1000))
    assert written == KEYS_MOST + 2
    assert throttle.over(math.inf) == [LeftOut(("m", "error", ANY_EVENT), 998)]
    assert throttle.admits(("m", "error", "text of later"), "", 61)


def test_the_next_end_is_known_only_where_something_was_left_out() -> None:
    throttle = Throttle(limit=1, period_secs=60)
    throttle.admits(KEY, "", 5)
    assert throttle.next_end() is None
    throttle.admits(KEY, "", 6)
    assert throttle.next_end() == 65


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.floats(0, 20))),
    st.integers(1, 4),
)
def test_every_line_is_written_or_counted(lines: list[tuple[str, str, float]], limit: int) -> None:
    throttle, now, written, told = Throttle(limit, 60), 0.0, 0, 0
    for event, kind, pause in lines:
        now += pause
        written += throttle.admits(("m", "warning", event), kind, now)
        told += sum(left_out.lines for left_out in throttle.over(now))
    told += sum(left_out.lines for left_out in throttle.over(math.inf))
    assert written + told == len(lines)
