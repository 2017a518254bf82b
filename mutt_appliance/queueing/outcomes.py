"""Requests of a component by outcome, counted in Redis: service levels survive restarts and are the same everywhere.

A process counts in memory and writes every few seconds, if there was anything. Counters are per 5 minutes, for the
rate at which an error budget is spent, and per hour, for long windows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import redis.asyncio

from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.rates import Window, counter_keys, keys_between

log = get_logger("queueing.outcomes")

Component = Literal["ingestor", "forwarder"]
Outcome = Literal["success", "fail"]
COMPONENTS: Final[tuple[Component, ...]] = ("ingestor", "forwarder")
OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "fail")
WRITE_SECS: Final = 2.0
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
    """Counts the requests of one component in this process, and writes them as long as `keep` runs."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: KeySpace,
        component: Component,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._keys = keys
        self._component = component
        self._clock = clock
        self._pending: Counter[tuple[int, Outcome]] = Counter()
        self._in_doubt = False

    def count(self, outcome: Outcome, requests: int = 1) -> None:
        """Note `requests` that ended now."""
        if requests:
            # By the window they belong to: Redis may be away for longer than one.
            self._pending[int(self._clock()) // SHORT.length_secs, outcome] += requests

    async def keep(self) -> None:
        """Write every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECS)
            await self.write()

    async def write(self) -> None:
        """Write what is pending; when Redis fails, it is kept for the next time.

        A frozen Redis takes what was sent to it when it wakes up: after a failure it must answer first, so that
        no more than one attempt can count twice.
        """
        if not self._pending:
            return
        taken: Counter[tuple[int, Outcome]] = Counter()
        try:
            if self._in_doubt:
                await self._client.ping()
            self._in_doubt = True
            taken, self._pending = self._pending, taken
            await self._add(taken)
        except (RedisError, OSError) as error:
            self._pending += taken
            log.debug("outcomes not written", component=self._component, error=str(error))
        except asyncio.CancelledError:
            self._pending += taken
            raise
        else:
            self._in_doubt = False

    async def _add(self, counts: Mapping[tuple[int, Outcome], int]) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            for (window, outcome), requests in counts.items():
                prefix = self._keys.outcomes(self._component, outcome)
                for key, keep_secs in counter_keys(prefix, window * SHORT.length_secs, (SHORT, LONG)):
                    pipe.incrby(key, requests)
                    pipe.expire(key, keep_secs)
            await pipe.execute()


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
