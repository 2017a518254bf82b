"""What the shared rate limiter granted, by Redis' own clock, and how dense they were."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import inf
from typing import Any, Self

from tests.support.servers import RedisServer

KEY = "mutt:rate_limit:moog"
LOOK_SECS = 0.1


class GrantWatch:
    """Collects every grant while it lasts. Redis keeps each for the limiter's period, which is longer than a look."""

    def __init__(self, server: RedisServer) -> None:
        self._client = server.client()
        self._grants: dict[bytes, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.close()

    def times(self) -> list[float]:
        """When each was granted, in seconds since 1970, in order."""
        return sorted(self._grants.values())

    def _loop(self) -> None:
        while not self._stopping.is_set():
            found: Any = self._client.zrange(KEY, 0, -1, withscores=True)
            self._grants |= {name: score / 1_000_000 for name, score in found}
            self._stopping.wait(LOOK_SECS)


def shortest_secs(times: Sequence[float], count: int) -> float:
    """The shortest time in which `count` of the sorted `times` lie; infinity if there are not so many."""
    return min((last - first for first, last in zip(times, times[count - 1 :], strict=False)), default=inf)
