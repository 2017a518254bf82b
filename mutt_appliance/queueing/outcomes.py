"""Requests of a component by outcome, counted in Redis: service levels survive restarts and are the same everywhere.

A process counts in memory and writes with what it writes anyway, at most once a second. Counters are
per 5 minutes, for the rate at which an error budget is spent, and per hour, for long windows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import redis.asyncio

from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.telemetry.rates import Window, counter_keys, keys_between

Component = Literal["ingestor", "forwarder"]
Outcome = Literal["success", "fail"]
COMPONENTS: Final[tuple[Component, ...]] = ("ingestor", "forwarder")
OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "fail")
SHORT: Final = Window("5m", 300, 7 * 3600)
LONG: Final = Window("1h", 3600, 31 * 86400)
SHORT_UP_TO_SECS: Final = 6 * 3600
"""Spans up to this are added up from the short windows."""


@dataclass(frozen=True)
class Outcomes:
    """Requests of a span of time."""

    success: int = 0
    fail: int = 0

    @property
    def availability(self) -> float | None:
        """Share that succeeded, None when there were none."""
        total = self.success + self.fail
        return self.success / total if total else None


class OutcomeCounter:
    """Requests of one component that this process has counted and not yet written."""

    def __init__(self, keys: KeySpace, component: Component, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._component = component
        self._clock = clock
        self._pending: Counter[tuple[int, Outcome]] = Counter()

    def count(self, outcome: Outcome, requests: int = 1) -> None:
        """Note `requests` that ended now."""
        if requests:
            # By the window they belong to: Redis may be away for longer than one.
            self._pending[int(self._clock()) // SHORT.length_secs, outcome] += requests

    def __bool__(self) -> bool:
        return bool(self._pending)

    def take(self) -> Counter[tuple[int, Outcome]]:
        """What is to be written; `give_back` undoes it."""
        taken, self._pending = self._pending, Counter()
        return taken

    def give_back(self, taken: Counter[tuple[int, Outcome]]) -> None:
        """Keep what could not be written for the next time."""
        self._pending += taken

    def add_to(self, pipe: Any, taken: Counter[tuple[int, Outcome]]) -> None:
        """Put the commands that write `taken` into a pipeline, blocking or asyncio."""
        for (window, outcome), requests in taken.items():
            prefix = self._keys.outcomes(self._component, outcome)
            for key, keep_secs in counter_keys(prefix, window * SHORT.length_secs, (SHORT, LONG)):
                pipe.incrby(key, requests)
                pipe.expire(key, keep_secs)

    async def write(self, client: redis.asyncio.Redis) -> None:
        """Write what is pending. Raises redis.RedisError, and then it is kept."""
        taken = self.take()
        if not taken:
            return
        try:
            async with client.pipeline(transaction=False) as pipe:
                self.add_to(pipe, taken)
                await pipe.execute()
        except BaseException:
            # Also when the wait was cancelled.
            self.give_back(taken)
            raise


def window_keys(prefix: str, span_secs: int, now_secs: float) -> list[str]:
    """Keys of the counters that touch the last `span_secs`: they reach back up to one window further."""
    window = SHORT if span_secs <= SHORT_UP_TO_SECS else LONG
    return keys_between(prefix, window, now_secs - span_secs, now_secs)


async def read_outcomes(
    client: redis.asyncio.Redis, keys: KeySpace, spans_secs: Iterable[int], now_secs: float | None = None
) -> dict[Component, dict[int, Outcomes]]:
    """Requests of each component in each of the last `spans_secs`, in one round trip. Raises redis.RedisError."""
    now = time.time() if now_secs is None else now_secs
    wanted = {
        (component, span, outcome): window_keys(keys.outcomes(component, outcome), span, now)
        for component in COMPONENTS
        for span in spans_secs
        for outcome in OUTCOMES
    }
    names = list(dict.fromkeys(name for group in wanted.values() for name in group))
    values: Any = await client.mget(names)
    counts: Mapping[str, int] = dict(zip(names, (int(value or 0) for value in values), strict=True))
    found: dict[Component, dict[int, Outcomes]] = {component: {} for component in COMPONENTS}
    for component, span, _ in wanted:
        success, fail = (sum(counts[name] for name in wanted[component, span, one]) for one in OUTCOMES)
        found[component][span] = Outcomes(success, fail)
    return found
