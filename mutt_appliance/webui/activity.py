"""Counts of the last 24 hours and 30 days, put together from the windows they were counted in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import redis.asyncio

from mutt_appliance.queueing.activity import DAYS, HOURS
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import text
from mutt_appliance.telemetry.rates import Window

HOURS_SHOWN: Final = 24
DAYS_SHOWN: Final = 30
TOP_OF_HOUR: Final = 200
"""Hosts and patterns looked at of each hour: who is among the first of a day is among these of some hour."""
# A settlement may still be counted in a window that has just ended.
FINAL_AFTER_SECS: Final = 120


@dataclass(frozen=True)
class Hits:
    """Events that a rule handled."""

    last_24h: int = 0
    last_30d: int = 0


@dataclass(frozen=True)
class Pattern:
    """Unmatched events of one kind in the last 24 hours; `sample` is one of them as it was queued, if it was short."""

    digest: str
    count: int
    sample: Mapping[str, Any] | None


class ActivityReader:
    """Reads the windows; those that are over are read once and kept."""

    def __init__(
        self, client: redis.asyncio.Redis, keys: KeySpace, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._over: dict[str, Counter[str]] = {}

    async def hits(self) -> dict[int, Hits]:
        """Hits by rule id. Raises redis.RedisError."""
        hours = await self._sum("hits", HOURS, HOURS_SHOWN)
        days = await self._sum("hits", DAYS, DAYS_SHOWN)
        return {
            int(rule): Hits(hours[rule], max(days[rule], hours[rule])) for rule in hours.keys() | days.keys()
        }

    async def top_hosts(self, most: int) -> list[tuple[str, int]]:
        """(host, events of 24 hours), the busiest first. Raises redis.RedisError."""
        return (await self._sum("hosts", HOURS, HOURS_SHOWN)).most_common(most)

    async def patterns(self, most: int) -> list[Pattern]:
        """Unmatched patterns of 24 hours, the most frequent first. Raises redis.RedisError."""
        counts = (await self._sum("patterns", HOURS, HOURS_SHOWN)).most_common(most)
        if not counts:
            return []
        digests = [digest for digest, _ in counts]
        async with self._client.pipeline(transaction=False) as pipe:
            for number in self._numbers(HOURS, HOURS_SHOWN):
                pipe.hmget(self._keys.activity("samples", HOURS.name, number), digests)
            answers = await pipe.execute()
        samples: dict[str, Any] = {}
        for answer in answers:
            samples |= {digest: raw for digest, raw in zip(digests, answer, strict=True) if raw is not None}
        return [Pattern(digest, count, _event(samples.get(digest))) for digest, count in counts]

    def _numbers(self, window: Window, windows: int) -> range:
        last = int(self._clock()) // window.length_secs
        return range(last - windows + 1, last + 1)

    async def _sum(self, what: str, window: Window, windows: int) -> Counter[str]:
        numbers = self._numbers(window, windows)
        keys = {number: self._keys.activity(what, window.name, number) for number in numbers}
        wanted = [number for number, key in keys.items() if key not in self._over]
        async with self._client.pipeline(transaction=False) as pipe:
            for number in wanted:
                if what == "hits":
                    pipe.hgetall(keys[number])
                else:
                    pipe.zrevrange(keys[number], 0, TOP_OF_HOUR - 1, withscores=True)
            answers = await pipe.execute()
        read = {number: _counter(answer) for number, answer in zip(wanted, answers, strict=True)}
        total: Counter[str] = Counter()
        for number, key in keys.items():
            total.update(read[number] if number in read else self._over[key])
        self._keep(what, window, read, numbers)
        return total

    def _keep(
        self, what: str, window: Window, read: Mapping[int, Counter[str]], numbers: Sequence[int]
    ) -> None:
        """Keep what cannot change any more, and forget what is too old to be asked for."""
        prefix = self._keys.activity(what, window.name, 0)[:-1]
        for key in [key for key in self._over if key.startswith(prefix)]:
            if int(key.removeprefix(prefix)) < numbers[0]:
                del self._over[key]
        for number, counts in read.items():
            if (number + 1) * window.length_secs + FINAL_AFTER_SECS < self._clock():
                self._over[f"{prefix}{number}"] = counts


def _counter(answer: Any) -> Counter[str]:
    pairs = answer.items() if isinstance(answer, dict) else answer
    return Counter({text(name): int(count) for name, count in pairs})


def _event(raw: bytes | None) -> Mapping[str, Any] | None:
    if raw is None:
        return None
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None
