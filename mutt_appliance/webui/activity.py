"""Counts of the last 24 hours and 30 days, put together from the windows they were counted in."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mutt_appliance.queueing.activity import DAYS, HOURS
from mutt_appliance.queueing.scripts import text
from mutt_appliance.queueing.shards import AsyncShard
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
    """Reads the windows of all shards and adds them up."""

    def __init__(self, shards: Iterable[AsyncShard], clock: Callable[[], float] = time.time) -> None:
        self._shards = shards
        self._clock = clock
        self._past: dict[tuple[str, str], tuple[range, frozenset[int], Counter[str]]] = {}

    async def hits(self) -> dict[int, Hits]:
        """Hits by rule id. Raises redis.RedisError."""
        hours = await self._sum("hits", HOURS, HOURS_SHOWN)
        days = await self._sum("hits", DAYS, DAYS_SHOWN)
        return {
            int(rule): Hits(hours[rule], max(days[rule], hours[rule])) for rule in hours.keys() | days.keys()
        }

    async def top_rules(self, most: int) -> list[tuple[int, int]]:
        """(rule id, events of 24 hours), the most frequent first. Raises redis.RedisError."""
        hours = await self._sum("hits", HOURS, HOURS_SHOWN)
        return [(int(rule), count) for rule, count in hours.most_common(most)]

    async def top_hosts(self, most: int) -> list[tuple[str, int]]:
        """(host, events of 24 hours), the busiest first. Raises redis.RedisError."""
        return (await self._sum("hosts", HOURS, HOURS_SHOWN)).most_common(most)

    async def patterns(self, most: int) -> list[Pattern]:
        """Unmatched patterns of 24 hours, the most frequent first. Raises redis.RedisError."""
        counts = (await self._sum("patterns", HOURS, HOURS_SHOWN)).most_common(most)
        if not counts:
            return []
        digests = [digest for digest, _ in counts]
        samples: dict[str, Any] = {}
        for found in await asyncio.gather(*(self._samples(shard, digests) for shard in self._shards)):
            samples |= found
        return [Pattern(digest, count, _event(samples.get(digest))) for digest, count in counts]

    async def _samples(self, shard: AsyncShard, digests: Sequence[str]) -> dict[str, Any]:
        async with shard.client.pipeline(transaction=False) as pipe:
            for number in self._numbers(HOURS, HOURS_SHOWN):
                pipe.hmget(shard.keys.activity("samples", HOURS.name, number), digests)
            answers = await pipe.execute()
        return {
            digest: raw
            for answer in answers
            for digest, raw in zip(digests, answer, strict=True)
            if raw is not None
        }

    def _numbers(self, window: Window, windows: int) -> range:
        last = int(self._clock()) // window.length_secs
        return range(last - windows + 1, last + 1)

    async def _sum(self, what: str, window: Window, windows: int) -> Counter[str]:
        """Counts of all windows together; the sum of those that are over is kept until another one is."""
        numbers = self._numbers(window, windows)
        over = int(self._clock() - FINAL_AFTER_SECS) // window.length_secs
        past = range(numbers.start, over)
        shards = frozenset(shard.number for shard in self._shards)
        kept = self._past.get((what, window.name))
        if kept is None or kept[:2] != (past, shards):
            kept = (past, shards, await self._read(what, window, past))
            self._past[what, window.name] = kept
        total = kept[2].copy()
        total.update(await self._read(what, window, range(over, numbers.stop)))
        return total

    async def _read(self, what: str, window: Window, numbers: range) -> Counter[str]:
        total: Counter[str] = Counter()
        for part in await asyncio.gather(
            *(self._read_shard(shard, what, window, numbers) for shard in self._shards)
        ):
            total.update(part)
        return total

    async def _read_shard(self, shard: AsyncShard, what: str, window: Window, numbers: range) -> Counter[str]:
        async with shard.client.pipeline(transaction=False) as pipe:
            for number in numbers:
                key = shard.keys.activity(what, window.name, number)
                if what == "hits":
                    pipe.hgetall(key)
                else:
                    pipe.zrevrange(key, 0, TOP_OF_HOUR - 1, withscores=True)
            answers: Any = await pipe.execute()
        total: Counter[str] = Counter()
        for answer in answers:
            total.update(_counter(answer))
        return total


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
