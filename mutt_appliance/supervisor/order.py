"""Who may start and who must stop next, by level; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """Where a process stands, as far as those that start after it care.

    `waited_secs` is None before its first start, else the time since then. `patience_secs` is how
    long the others wait for it at most: events must be accepted while a database is away.
    """

    level: int
    serves: bool
    failed_ever: bool
    waited_secs: float | None
    patience_secs: float


def passed(standing: Standing) -> bool:
    """True when the next level need not wait for this process any longer."""
    if standing.serves or standing.failed_ever:
        return True
    return standing.waited_secs is not None and standing.waited_secs >= standing.patience_secs


def may_start(level: int, standings: Iterable[Standing]) -> bool:
    """True when every process of a lower level lets `level` start."""
    return all(passed(standing) for standing in standings if standing.level < level)


def next_to_stop(alive_levels: Iterable[int]) -> int | None:
    """The level to stop now: the highest with a process alive; None when all are gone."""
    return max(alive_levels, default=None)
