"""One shard's alerts in the hands of a forwarder: claimed, kept, settled, given back.

Each shard has a lane of its own, so that one whose Redis does not answer keeps no other waiting. A lane
sends nothing itself: the forwarder takes from all of them in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.depths import DepthBoard
from mutt_appliance.forwarder.holdings import Holdings
from mutt_appliance.forwarder.housekeeping import end
from mutt_appliance.forwarder.jobs import prepare
from mutt_appliance.forwarder.membership import Membership
from mutt_appliance.forwarder.retry import RETRY_AFTER_MAX_SECS
from mutt_appliance.process import Child
from mutt_appliance.queueing.alerts import AlertClaim, AlertQueue, Outcome
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.queueing.lease import Lease, LeaseLostError, NameTakenError
from mutt_appliance.queueing.shards import AsyncShard
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("forwarder")

# The loop turns at least this often, whatever it waits for.
TURN_SECS = 0.5
# LREM looks through the worker's list, and one script call must not keep Redis busy for long.
HELD_MOST = 2000
SETTLE_MOST = 500
# Part of the drain time that is left for settling what the last requests came to.
DRAIN_MARGIN_SECS = 2.0


class Lane:
    """One loop over the alert queue of a shard.

    Only the loop talks to the queue about items, with one exception: while the queue is empty a
    blocking pop (the `waiter`) hands the next alert over without delay.
    """

    def __init__(
        self,
        child: Child,
        live: LiveSettings,
        shard: AsyncShard,
        depths: DepthBoard,
        *,
        slots_free: Callable[[], int],
        holds_back: Callable[[], bool],
        on_pending: Callable[[], None],
        on_settled: Callable[[list[Outcome]], None],
    ) -> None:
        """`slots_free` says how many requests could begin; `on_pending` is called when some could be made here.

        While `holds_back` says so, nothing is claimed but what a probe needs.
        """
        settings = child.settings
        lease = Lease(
            shard.keys.alerts,
            child.spec.worker_name,
            child.spec.run_id,
            round(settings.moog_janitor_timeout * 1000),
        )
        self.shard = shard
        self.queue = AlertQueue(shard.client, shard.keys, lease)
        self.membership = Membership(child, self.queue, shard)
        batch_size = settings.moog_cloud_batch_size if settings.moog_format == "cloud" else 1
        self._capacity = min(settings.moog_max_concurrency * batch_size, HELD_MOST)
        self.holdings = Holdings(batch_size)
        self._child = child
        self._live = live
        self._depths = depths
        self._slots_free = slots_free
        self._holds_back = holds_back
        self.probing = False
        self.waiting = 0
        self._on_pending = on_pending
        self._on_settled = on_settled
        self._wake = asyncio.Event()
        self._waiter: asyncio.Task[bytes | None] | None = None
        self._retry_at = math.inf
        self.turned_at = time.monotonic()

    @property
    def _settings(self) -> Settings:
        return self._live.current

    @property
    def _longest_delay_ms(self) -> int:
        # A probe's alert waits for a probe interval, which is an hour at most as well.
        return round(1000 * max(self._settings.moog_retry_max_delay, RETRY_AFTER_MAX_SECS))

    def wake(self) -> None:
        """Something happened: a request ended, there is room, or the end has come."""
        self._wake.set()

    def wanted(self, most: int) -> int:
        """How many requests it could make, up to `most`; none while it cannot prove that its alerts are its own."""
        if self.membership.lost or self.membership.in_doubt:
            return 0
        return self.holdings.requests_wanted(most)

    def claim_probe(self) -> None:
        """Claim one alert although Moogsoft is away; `probing` until it is there to be sent, or there was none."""
        self.probing = True
        self._wake.set()

    async def run(self) -> None:
        """Claim and settle until the child is told to stop; then settle what is left, and leave."""
        try:
            while not self._child.stopping.is_set():
                self._wake.clear()
                self.turned_at = time.monotonic()
                await self._sleep(await self._careful_turn())
            await self._drain()
        finally:
            await self._stop_waiter()

    async def _careful_turn(self) -> float:
        """One turn, whatever state Redis and the lease are in; returns how long the loop may rest, in seconds."""
        try:
            if self.membership.lost:
                await self._join()
            await self._settle()
            await self._fetch()
            if self.holdings.pending:
                await self.membership.prove_if_in_doubt()
                self._on_pending()
        except (LeaseLostError, NameTakenError) as error:
            if isinstance(error, LeaseLostError):
                log.warning("lease lost: what was not sent yet is left to others", held=len(self.holdings))
            self.membership.lost = True
            self.holdings.forget_pending()
            return TURN_SECS if isinstance(error, NameTakenError) else 0.0
        except RedisError as error:
            delay = self.membership.failed(error, self._settings)
            await asyncio.sleep(delay)
            self.turned_at = time.monotonic()
            await self._find_back()
            return 0.0
        return self._rest_secs()

    async def _join(self) -> None:
        # An alert popped for the old lease would go back to the queue and be handed over as well.
        await self._stop_waiter()
        self.holdings.forget_pending()
        await self.membership.register()

    async def _find_back(self) -> None:
        """After an error an answer may be lost: prove the lease, then see what is on the list."""
        await self._stop_waiter()
        if self.membership.lost:
            return
        try:
            await self.membership.prove()
            await self._adopt_strays()
        except LeaseLostError:
            self.membership.lost = True
        except RedisError as error:
            await asyncio.sleep(self.membership.failed(error, self._settings))

    async def _settle(self) -> None:
        while self.holdings.unsettled:
            outcomes = self.holdings.unsettled[:SETTLE_MOST]
            dead_depth = await self.queue.settle(outcomes)
            self.holdings.settled(outcomes)
            self._depths.settled(self.shard.number, dead_depth, len(self.holdings))
            self._on_settled(outcomes)
            delays = [outcome.delay_ms for outcome in outcomes if outcome.kind == "retry"]
            if delays:
                self._retry_at = min(self._retry_at, time.monotonic() + min(delays) / 1000)

    async def _fetch(self) -> None:
        """Take over what the waiter got, and claim what there is room for."""
        if self._waiter is not None and self._waiter.done():
            waiter, self._waiter = self._waiter, None
            item = waiter.result()
            if item is not None:
                self._take([item])
        if self._holds_back():
            await self._hold_back()
            return
        self.probing = False
        room = self._room()
        if room <= 0 or (self._waiter is not None and time.monotonic() < self._retry_at):
            return
        asked_at = time.monotonic()
        claim = await self.queue.claim(room, self._longest_delay_ms)
        self.membership.proved(asked_at)
        self._take(claim.items)
        self._note(claim)
        if self._waiter is None:
            if claim.held > len(self.holdings):
                await self._adopt_strays()
            if len(claim.items) < room:
                self._start_waiter()

    async def _hold_back(self) -> None:
        """What is in hand and was not sent goes back to its place; an alert for a probe is claimed if one is wanted."""
        await self._stop_waiter()
        probe = self.probing and not self.holdings.pending
        asked_at = time.monotonic()
        claim = await self.queue.claim(int(probe), self._longest_delay_ms, for_probe=probe)
        self.membership.proved(asked_at)
        self._take(claim.items)
        self._note(claim)
        if claim.held > len(self.holdings):
            await self._adopt_strays()
        if probe:
            self.probing = bool(self.holdings.pending)
        elif not self.probing and self.holdings.pending:
            self.holdings.release_pending()
            await self._settle()

    def _note(self, claim: AlertClaim) -> None:
        self.waiting = claim.queue_depth + claim.retry_depth
        next_retry = math.inf if claim.next_retry_ms is None else claim.next_retry_ms / 1000
        self._retry_at = time.monotonic() + next_retry
        self._depths.claimed(self.shard.number, claim, len(self.holdings))

    async def _adopt_strays(self) -> None:
        """Take what is on the list and was never heard of: a claim or a pop whose answer was lost."""
        strays = self.holdings.strangers(await self.queue.held())
        if strays:
            log.warning("alerts taken over whose claim was not answered", alerts=len(strays))
            self._take(strays)

    def _take(self, items: list[bytes]) -> None:
        for item in self.holdings.strangers(items):
            self.holdings.take(item, prepare(item, self._settings))
        if self.holdings.unsettled:
            self._wake.set()

    def _room(self) -> int:
        return self._capacity - len(self.holdings) if self._slots_free() > 0 else 0

    def _start_waiter(self) -> None:
        # Not longer than half the lease: who sleeps through it must not get an alert on a list given up.
        longest = min(self._settings.brpoplpush_timeout, self._settings.moog_janitor_timeout / 2)
        self._waiter = asyncio.create_task(self.queue.wait(longest))
        self._waiter.add_done_callback(lambda _: self._wake.set())

    async def _stop_waiter(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            # What it may have got in this moment is on the list, and found there.
            await end([waiter])

    def _rest_secs(self) -> float:
        """How long nothing can happen that does not wake the loop."""
        now = time.monotonic()
        until = now + TURN_SECS
        if self._room() > 0 and not self._holds_back():
            until = min(until, self._retry_at)
        return max(0.0, until - now)

    async def _sleep(self, rest_secs: float) -> None:
        if rest_secs <= 0 or self._wake.is_set():
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest_secs):
                await self._wake.wait()

    async def _drain(self) -> None:
        """Give back what was not sent, wait for the requests under way, settle."""
        margin = min(DRAIN_MARGIN_SECS, self._settings.drain_timeout / 4)
        deadline = time.monotonic() + self._settings.drain_timeout - margin
        await self._stop_waiter()
        self.holdings.release_pending()
        while True:
            self._wake.clear()
            self.turned_at = time.monotonic()
            left = deadline - time.monotonic()
            try:
                await self._settle()
            except RedisError as error:
                await asyncio.sleep(min(self.membership.failed(error, self._settings), max(left, 0.0)))
                self._wake.set()
            if left <= 0 or not (self.holdings.requests or self.holdings.unsettled):
                break
            await self._sleep(min(left, TURN_SECS))
            # Jobs of a batch that was refused as a whole.
            self.holdings.release_pending()

    async def leave(self) -> None:
        """Sign off; what is still held goes back at once."""
        try:
            await self.queue.unregister()
        except RedisError as error:
            log.warning(
                "could not leave the queue; the janitor will give back what is held", error=str(error)
            )
