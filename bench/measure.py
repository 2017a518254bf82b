"""Repeat in turns and take the median, so that what else the machine does hits all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """The values of one measurement, in order."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value that counts."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Largest minus smallest value as a share of the median: how noisy it was."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0


def in_turns(
    rounds: int, runs: Sequence[Callable[[], float]], progress: Callable[[str], None] = lambda _: None
) -> list[Series]:
    """Run each of `runs` once a round, the first one first in even rounds and last in odd ones."""
    values: list[list[float]] = [[] for _ in runs]
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        order = range(len(runs)) if number % 2 == 0 else reversed(range(len(runs)))
        for place in order:
            values[place].append(runs[place]())
    return [Series(tuple(each)) for each in values]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the sorted values do not exceed (nearest rank)."""
    if not ordered:
        raise ValueError("no values to take a percentile of")
    rank = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[min(rank, len(ordered) - 1)]
