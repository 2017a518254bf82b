"""Requests are shared out in turn."""

from __future__ import annotations

import pytest

from mutt_appliance.forwarder.fairness import share_out


@pytest.mark.parametrize(
    ("wishes", "granted", "first", "shares"),
    [
        ([5], 3, 0, [3]),
        ([5, 5, 5], 6, 0, [2, 2, 2]),
        ([5, 5, 5], 4, 1, [1, 2, 1]),
        ([1, 0, 9], 5, 0, [1, 0, 4]),
        ([100, 1], 1, 1, [0, 1]),
        ([2, 2], 9, 0, [2, 2]),
        ([0, 0], 3, 0, [0, 0]),
    ],
)
def test_each_gets_its_turn_and_nobody_more_than_it_wishes(
    wishes: list[int], granted: int, first: int, shares: list[int]
) -> None:
    assert share_out(wishes, granted, first) == shares
