"""Who may begin how many requests (pure)."""

from __future__ import annotations

from collections.abc import Sequence


def share_out(wishes: Sequence[int], granted: int, first: int) -> list[int]:
    """How many of `granted` each gets, one at a time in turn from number `first` on, no more than it wishes."""
    shares = [0] * len(wishes)
    order = [(first + n) % len(wishes) for n in range(len(wishes))]
    while granted > 0:
        hungry = [n for n in order if shares[n] < wishes[n]]
        if not hungry:
            break
        for n in hungry[:granted]:
            shares[n] += 1
        granted -= len(hungry[:granted])
    return shares
