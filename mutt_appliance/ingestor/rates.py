"""Writes how many events were accepted, once a second, and reads the depths that go with it."""

from __future__ import annotations

import time

import redis.asyncio

from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.telemetry.rates import counter_keys


class AcceptedCounter:
    """Counts accepted events in memory; `flush` adds them to the windows in Redis."""

    def __init__(self, client: redis.asyncio.Redis, keys: KeySpace) -> None:
        self._client = client
        self._keys = keys
        self.pending = 0
        self.flushed_at = float("-inf")

    async def flush(self) -> tuple[int, int]:
        """Write what was counted; returns the depths of the ingest queue and of its dead letters.

        Raises redis.RedisError, and then the count is kept for the next time.
        """
        count, self.pending = self.pending, 0
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.llen(self._keys.ingest_queue)
                pipe.llen(self._keys.ingest_dead)
                if count:
                    for key, keep_secs in counter_keys(self._keys.metrics_prefix, time.time()):
                        pipe.incrby(key, count)
                        pipe.expire(key, keep_secs)
                answers = await pipe.execute()
        except (RedisError, OSError):
            self.pending += count
            raise
        return int(answers[0]), int(answers[1])
