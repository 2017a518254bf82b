"""The sliding-window rate limit that all forwarders of all appliances share."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import redis.asyncio

from mutt_appliance.queueing.scripts import script_source

# A grant that is older was given to a process that stood still; it is handed back, never used.
BEGIN_WITHIN_SECS = 2.0
# So much later than its time a request may be given up, for a process that is late with everything.
LATE_SECS = 3.0


@dataclass(frozen=True)
class Grant:
    """A token for each request that may be begun at once, and after how many ms to ask for the rest."""

    tokens: list[str]
    wait_ms: int


class RateLimiter:
    """At most `limit` requests arrive in any `period_ms`, counted in Redis by Redis' own clock.

    When a request arrives nobody here knows: some time between its grant and its end. So it counts
    from the grant until a period after the end (the proof is in take_tokens.lua). Each token must
    come back by `end` or `hand_back`; Redis is told with the next `take`, again and again until it
    has answered. Tokens that do not come back count until their requests must have ended.
    """

    def __init__(
        self, client: redis.asyncio.Redis, key: str, limit: int, period_ms: int, request_ms: int
    ) -> None:
        """`request_ms` is the longest that a request may take from its begin to its end."""
        self._key = key
        self._limit = limit
        self._period_ms = period_ms
        self._longest_ms = request_ms + round(1000 * (BEGIN_WITHIN_SECS + LATE_SECS))
        self._script = client.register_script(script_source("take_tokens"))
        self._ended: set[str] = set()
        self._unused: set[str] = set()

    @property
    def untold(self) -> bool:
        """True while there are ends or returns that Redis has not confirmed."""
        return bool(self._ended or self._unused)

    def allow(self, limit: int, period_ms: int) -> None:
        """From the next request on this limit holds."""
        self._limit, self._period_ms = limit, period_ms

    def end(self, token: str) -> None:
        """The request of this token was answered, failed or was given up."""
        self._ended.add(token)

    def hand_back(self, tokens: Iterable[str]) -> None:
        """Nothing was sent with these tokens, and nothing will be."""
        self._unused.update(tokens)

    async def take(self, wanted: int) -> Grant:
        """Tell what became of earlier tokens and ask for `wanted` more, 0 or more, in one round trip.

        May raise redis.RedisError, and then none is granted.
        """
        asked_at = time.monotonic()
        name = uuid.uuid4().hex
        ended, unused = list(self._ended), list(self._unused)
        args: list[str | int] = [self._limit, self._period_ms, self._longest_ms, wanted, name, len(unused)]
        try:
            granted, wait_ms = await self._script(keys=[self._key], args=[*args, *unused, *ended])
        except BaseException:
            # The answer may be lost and not the question.
            self.hand_back(_tokens(name, wanted))
            raise
        self._ended.difference_update(ended)
        self._unused.difference_update(unused)
        tokens = _tokens(name, int(granted))
        if time.monotonic() - asked_at > BEGIN_WITHIN_SECS:
            self.hand_back(tokens)
            return Grant([], 0)
        return Grant(tokens, int(wait_ms))


def _tokens(name: str, count: int) -> list[str]:
    return [f"{name}:{number}" for number in range(1, count + 1)]
