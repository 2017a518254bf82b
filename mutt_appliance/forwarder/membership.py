"""The forwarder's place in the queue: taking the lease, keeping it, noticing that it is gone."""

from __future__ import annotations

import time

from mutt_appliance.backoff import Backoff
from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.queueing.alerts import AlertQueue
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.fullness import trouble_of
from mutt_appliance.queueing.lease import LeaseLostError, NameTakenError
from mutt_appliance.queueing.shards import AsyncShard
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("forwarder.membership")

BACKOFF_FIRST_SECS = 0.05
BACKOFF_MAX_SECS = 2.0


class Membership:
    """The lease of one forwarder in one shard, and what its health board says about Redis."""

    def __init__(self, child: Child, queue: AlertQueue, shard: AsyncShard) -> None:
        self._child = child
        self._lease = shard.component("lease")
        self._redis = shard.component("redis")
        self._queue = queue
        self._ttl_secs = child.settings.moog_janitor_timeout
        self._proved_at = 0.0
        self._backoff = Backoff(BACKOFF_FIRST_SECS, BACKOFF_MAX_SECS)
        self._registrations = 0
        self.lost = True

    async def register(self) -> None:
        """Take the lease. Raises RedisError and NameTakenError."""
        asked_at = time.monotonic()
        try:
            returned = await self._queue.register()
        except NameTakenError as error:
            if self._child.health.set(self._lease, False, str(error)):
                log.error("worker name is taken", error=str(error))
            raise
        self._registrations += 1
        self.lost = False
        self.proved(asked_at)
        self._child.health.set(self._lease, True, self._child.spec.worker_name)
        log.info("registered", worker=self._child.spec.worker_name, returned_to_queue=returned)

    def proved(self, asked_at: float) -> None:
        """Redis confirmed the lease to a question asked at `asked_at` (monotonic)."""
        self._proved_at = asked_at
        self._backoff.reset()
        if self._child.health.set(self._redis, True):
            log.info(f"{self._redis} answers")

    async def prove(self) -> None:
        """Renew the lease. Raises LeaseLostError and RedisError."""
        asked_at = time.monotonic()
        registrations = self._registrations
        if await self._queue.renew():
            self.proved(asked_at)
        elif registrations == self._registrations:
            raise LeaseLostError(self._child.spec.worker_name)

    @property
    def in_doubt(self) -> bool:
        """True for a claim that may be too old to begin work on it, as after a SIGSTOP."""
        return time.monotonic() - self._proved_at > self._ttl_secs / 2

    async def prove_if_in_doubt(self) -> None:
        """Renew before work is begun on such a claim."""
        if self.in_doubt:
            await self.prove()

    def failed(self, error: RedisError, settings: Settings) -> float:
        """Note that Redis failed; returns how many seconds to wait before it is asked again."""
        if self._child.health.set(self._redis, False, trouble_of(settings.redis_where, error)):
            log.error(f"{self._redis} is away, alerts wait", error=str(error))
        return self._backoff.next_secs()
