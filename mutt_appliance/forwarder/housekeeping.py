"""What a forwarder does beside its loop: signs of life, its lease, the janitor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.membership import Membership
from mutt_appliance.process import Child
from mutt_appliance.queueing.alerts import AlertQueue
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.lease import LeaseLostError
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import ForwarderMetrics

log = get_logger("forwarder.housekeeping")

BEAT_SECS = 0.5
JANITOR_SECS = 3.0
# On top of what one answer of Redis may take: a loop silent for longer is stuck.
STUCK_MARGIN_SECS = 10.0
CANCEL_AGAIN_SECS = 0.05


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel `tasks` until they have ended; what they came to is of no interest any more.

    Once is not enough: a cancellation that meets a Redis connection as it fails or is being made can
    come out as an error of Redis, and a task that goes on after those would never end.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECS)
        for task in ended:
            if not task.cancelled():
                task.exception()


class Turning(Protocol):
    """Something with a loop that notes when it last turned (monotonic seconds)."""

    turned_at: float


async def keep_beating(child: Child, loop: Turning) -> None:
    """Beat while the loop turns; no beat when it is stuck, so that the supervisor ends the process."""
    settings = child.settings
    patience_secs = 2 * settings.redis_timeout + settings.brpoplpush_timeout + STUCK_MARGIN_SECS
    while True:
        if time.monotonic() - loop.turned_at < patience_secs:
            child.beat()
        await asyncio.sleep(BEAT_SECS)


async def keep_lease(membership: Membership, settings: Settings, on_loss: Callable[[], None]) -> None:
    """Renew the lease in time, also while the loop has no reason to ask Redis."""
    while True:
        await asyncio.sleep(settings.moog_heartbeat_interval)
        if membership.lost:
            continue
        try:
            await membership.prove()
        except LeaseLostError:
            membership.lost = True
            on_loss()
        except RedisError as error:
            # The loop notices by itself when it next asks, and says so.
            log.debug("lease not renewed", error=str(error))


async def run_janitor(queue: AlertQueue, metrics: ForwarderMetrics, settings: Settings) -> None:
    """Every few seconds give back what dead workers held; once, look for lists nobody registered."""
    adopted = False
    while True:
        try:
            if not adopted:
                await queue.adopt_unknown_lists()
                adopted = True
            recovered = await queue.dead_workers_recovered()
            if recovered:
                metrics.recovered.inc(recovered)
                log.warning("alerts of dead workers are back in the queue", alerts=recovered)
        except RedisError as error:
            log.debug("janitor could not look", error=str(error))
        await asyncio.sleep(min(JANITOR_SECS, settings.moog_janitor_timeout / 2))
