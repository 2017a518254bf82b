"""Writes how many events were accepted, once a second."""

from __future__ import annotations

import time

from mutt_appliance.queueing.shards import AsyncShard
from mutt_appliance.telemetry.rates import counter_keys


class AcceptedCounter:
    """Counts accepted events in memory; `flush` adds them to the windows at home."""

    def __init__(self, home: AsyncShard) -> None:
        self._home = home
        self.pending = 0

    async def flush(self) -> None:
        """Write what was counted. Raises redis.RedisError, and then the count is kept for the next time."""
        count, self.pending = self.pending, 0
        if not count:
            return
        try:
            async with self._home.client.pipeline(transaction=False) as pipe:
                for key, keep_secs in counter_keys(self._home.keys.metrics_prefix, time.time()):
                    pipe.incrby(key, count)
                    pipe.expire(key, keep_secs)
                await pipe.execute()
        except BaseException:
            self.pending += count
            raise
