"""Delays between tries."""

from __future__ import annotations

from itertools import pairwise

from mutt_appliance.backoff import Backoff


def test_delays_double_up_to_the_longest_and_none_is_shorter_than_half() -> None:
    backoff = Backoff(0.1, 1.0)
    delays = [backoff.next_secs() for _ in range(8)]
    for delay, whole in zip(delays, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0], strict=True):
        assert whole / 2 <= delay <= whole


def test_two_that_failed_together_do_not_come_back_together() -> None:
    delays = sorted(Backoff(1.0, 1.0).next_secs() for _ in range(50))
    assert all(one != other for one, other in pairwise(delays))


def test_success_begins_anew() -> None:
    backoff = Backoff(0.1, 10.0)
    for _ in range(5):
        backoff.next_secs()
    backoff.reset()
    assert backoff.next_secs() <= 0.1
