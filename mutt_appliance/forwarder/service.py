"""The forwarder process: claims alerts, posts them, settles what became of them, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import time
from collections.abc import Callable

import redis.asyncio
import uvloop
from aiohttp import web

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.forwarder.holdings import Holdings
from mutt_appliance.forwarder.housekeeping import end, keep_beating, keep_lease, run_janitor
from mutt_appliance.forwarder.jobs import prepare
from mutt_appliance.forwarder.membership import Membership
from mutt_appliance.forwarder.moog import NEVER_IN_SIGNATURE
from mutt_appliance.forwarder.requests import Requests
from mutt_appliance.forwarder.sender import Sender
from mutt_appliance.process import Child
from mutt_appliance.queueing.alerts import AlertClaim, AlertQueue
from mutt_appliance.queueing.client import RedisError, async_client, blocking_client
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import Lease, LeaseLostError, NameTakenError
from mutt_appliance.queueing.limiter import RateLimiter
from mutt_appliance.queueing.outcomes import OutcomeCounter
from mutt_appliance.telemetry.endpoints import add_endpoints, serve
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import ForwarderMetrics

log = get_logger("forwarder")

# The loop turns at least this often, whatever it waits for.
TURN_SECS = 0.5
# LREM looks through the worker's list, and one script call must not keep Redis busy for long.
HELD_MOST = 2000
SETTLE_MOST = 500
# Part of the drain time that is left for settling what the last requests came to.
DRAIN_MARGIN_SECS = 2.0


def run(child: Child) -> None:
    """Forward until SIGTERM; requests under way are finished first."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(forward(child, ForwarderMetrics()))


async def forward(child: Child, metrics: ForwarderMetrics) -> None:
    """The whole life of a forwarder inside a running event loop."""
    settings = child.settings
    for field in set(settings.moog_signature_fields) & NEVER_IN_SIGNATURE:
        log.warning("MOOG_SIGNATURE_FIELDS: left out, it differs between events about one thing", field=field)
    client = async_client(settings, child.secrets, child.name)
    listening = blocking_client(settings, child.secrets, child.name)
    live = LiveSettings(settings, listening, KeySpace(settings))
    sender = Sender(settings, child.secrets.moog_api_key)
    app = web.Application()
    add_endpoints(app, settings.mutt_runtime_dir, child.spec.role)
    endpoints = await serve(app, child.sockets["metrics"], child.sockets["health"])
    try:
        await Forwarder(child, live, client, sender, metrics).run()
    finally:
        await endpoints.cleanup()
        await sender.close()
        await client.aclose()
        listening.close()


class Forwarder:
    """One loop over the queue; requests run beside it and wake it up when they end.

    Only the loop talks to the queue about items, with one exception: while the queue is empty a
    blocking pop (the `waiter`) hands the next alert over without delay.
    """

    def __init__(
        self,
        child: Child,
        live: LiveSettings,
        client: redis.asyncio.Redis,
        sender: Sender,
        metrics: ForwarderMetrics,
    ) -> None:
        settings = child.settings
        keys = KeySpace(settings)
        lease = Lease(
            keys.alerts,
            child.spec.worker_name,
            child.spec.run_id,
            round(settings.moog_janitor_timeout * 1000),
        )
        self._child = child
        self._live = live
        self._sender = sender
        self._metrics = metrics
        self._outcomes = OutcomeCounter(client, keys, "forwarder")
        self._queue = AlertQueue(client, keys, lease)
        self._limiter = RateLimiter(client, keys.rate_limit, *_rate(settings))
        self._membership = Membership(child, self._queue)
        batch_size = settings.moog_cloud_batch_size if settings.moog_format == "cloud" else 1
        self._capacity = min(settings.moog_max_concurrency * batch_size, HELD_MOST)
        self._holdings = Holdings(batch_size)
        self._wake = asyncio.Event()
        self._requests = Requests(
            child, live, sender, metrics, self._outcomes, self._holdings, self._wake.set
        )
        self._waiter: asyncio.Task[bytes | None] | None = None
        self._retry_at = math.inf
        self._tokens_at = 0.0
        self.turned_at = time.monotonic()

    @property
    def _settings(self) -> Settings:
        return self._live.current

    async def run(self) -> None:
        """Forward until the child is told to stop, then settle and leave."""
        child = self._child
        loop = asyncio.get_running_loop()
        child.bind_loop(loop, self._wake.set, self._reload)
        told = functools.partial(_call_soon, loop, self._settings_changed)
        await asyncio.to_thread(self._live.start, child.stopping, {"config": told})
        child.health.set("moogsoft", True, f"{self._sender.place}: nothing sent yet")
        child.ready()
        try:
            # A helper or a request that fails in a way nobody foresaw ends the process, and what it
            # holds goes back to the queue; silence would keep it for ever.
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(keep_beating(child, self)),
                    group.create_task(keep_lease(self._membership, self._settings, self._wake.set)),
                    group.create_task(run_janitor(self._queue, self._metrics, self._settings)),
                    group.create_task(self._outcomes.keep()),
                ]
                try:
                    while not child.stopping.is_set():
                        self._wake.clear()
                        self.turned_at = time.monotonic()
                        await self._sleep(await self._careful_turn(group))
                    await self._drain()
                finally:
                    await end(helpers)
        finally:
            await self._stop_waiter()
        await self._outcomes.write()

    async def _careful_turn(self, group: asyncio.TaskGroup) -> float:
        """One turn, whatever state Redis and the lease are in; returns how long the loop may rest, in seconds."""
        try:
            if self._membership.lost:
                await self._join()
            await self._turn(group)
        except (LeaseLostError, NameTakenError) as error:
            if isinstance(error, LeaseLostError):
                log.warning("lease lost: what was not sent yet is left to others", held=len(self._holdings))
            self._membership.lost = True
            self._holdings.forget_pending()
            return TURN_SECS if isinstance(error, NameTakenError) else 0.0
        except RedisError as error:
            delay = self._membership.failed(error, self._settings)
            await asyncio.sleep(delay)
            self.turned_at = time.monotonic()
            await self._find_back()
            return 0.0
        return self._rest_secs()

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        await self._settle()
        await self._fetch()
        await self._begin_requests(group)

    async def _join(self) -> None:
        # An alert popped for the old lease would go back to the queue and be handed over as well.
        await self._stop_waiter()
        self._holdings.forget_pending()
        await self._membership.register()

    async def _find_back(self) -> None:
        """After an error an answer may be lost: prove the lease, then see what is on the list."""
        await self._stop_waiter()
        if self._membership.lost:
            return
        try:
            await self._membership.prove()
            await self._adopt_strays()
        except LeaseLostError:
            self._membership.lost = True
        except RedisError as error:
            await asyncio.sleep(self._membership.failed(error, self._settings))

    async def _settle(self) -> None:
        while self._holdings.unsettled:
            outcomes = self._holdings.unsettled[:SETTLE_MOST]
            dead_depth = await self._queue.settle(outcomes)
            self._holdings.settled(outcomes)
            self._metrics.dlq_depth.set(dead_depth)
            self._metrics.processing_depth.set(len(self._holdings))
            self._requests.count(outcomes)
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
        room = self._room()
        if room <= 0 or (self._waiter is not None and time.monotonic() < self._retry_at):
            return
        asked_at = time.monotonic()
        claim = await self._queue.claim(room)
        self._membership.proved(asked_at)
        self._take(claim.items)
        self._note(claim)
        if self._waiter is None:
            if claim.held > len(self._holdings):
                await self._adopt_strays()
            if len(claim.items) < room:
                self._start_waiter()

    def _note(self, claim: AlertClaim) -> None:
        next_retry = math.inf if claim.next_retry_ms is None else claim.next_retry_ms / 1000
        self._retry_at = time.monotonic() + next_retry
        self._metrics.retry_depth.set(claim.retry_depth)
        self._metrics.dlq_depth.set(claim.dead_depth)
        self._metrics.processing_depth.set(len(self._holdings))
        self._child.health.fact("alert_queue_depth", claim.queue_depth)
        self._child.health.fact("retry_depth", claim.retry_depth)

    async def _adopt_strays(self) -> None:
        """Take what is on the list and was never heard of: a claim or a pop whose answer was lost."""
        strays = self._holdings.strangers(await self._queue.held())
        if strays:
            log.warning("alerts taken over whose claim was not answered", alerts=len(strays))
            self._take(strays)

    def _take(self, items: list[bytes]) -> None:
        for item in self._holdings.strangers(items):
            self._holdings.take(item, prepare(item, self._settings))
        if self._holdings.unsettled:
            self._wake.set()

    def _room(self) -> int:
        if self._holdings.requests >= self._settings.moog_max_concurrency:
            return 0
        return self._capacity - len(self._holdings)

    def _start_waiter(self) -> None:
        # Not longer than half the lease: who sleeps through it must not get an alert on a list given up.
        longest = min(self._settings.brpoplpush_timeout, self._settings.moog_janitor_timeout / 2)
        self._waiter = asyncio.create_task(self._queue.wait(longest))
        self._waiter.add_done_callback(lambda _: self._wake.set())

    async def _stop_waiter(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            # What it may have got in this moment is on the list, and found there.
            await end([waiter])

    async def _begin_requests(self, group: asyncio.TaskGroup) -> None:
        free = self._settings.moog_max_concurrency - self._holdings.requests
        wanted = self._holdings.requests_wanted(free)
        if wanted == 0 or time.monotonic() < self._tokens_at:
            return
        await self._membership.prove_if_in_doubt()
        self._limiter.allow(*_rate(self._settings))
        grant = await self._limiter.take(wanted)
        if grant.granted < wanted:
            self._metrics.rate_limit_hits.inc()
            self._tokens_at = time.monotonic() + grant.wait_ms / 1000
        for _ in range(grant.granted):
            self._requests.begin(self._holdings.next_batch(), group)

    def _rest_secs(self) -> float:
        """How long nothing can happen that does not wake the loop."""
        now = time.monotonic()
        until = now + TURN_SECS
        if self._room() > 0:
            until = min(until, self._retry_at)
        if self._holdings.pending and self._holdings.requests < self._settings.moog_max_concurrency:
            until = min(until, self._tokens_at)
        return max(0.0, until - now)

    async def _sleep(self, rest_secs: float) -> None:
        if rest_secs <= 0 or self._wake.is_set():
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest_secs):
                await self._wake.wait()

    def _settings_changed(self) -> None:
        """A wait for the old rate limit may be too long for the new one."""
        self._tokens_at = 0.0
        self._wake.set()

    def _reload(self) -> None:
        """SIGHUP: the key may be new; everything else is as it was at the start."""
        try:
            self._sender.change_key(self._child.secrets.moog_api_key)
        except ConfigError as error:
            log.error("new key cannot be used, the old one stays", error=str(error))
        else:
            log.info("reloaded")

    async def _drain(self) -> None:
        """Give back what was not sent, wait for the requests under way, settle, leave."""
        margin = min(DRAIN_MARGIN_SECS, self._settings.drain_timeout / 4)
        deadline = time.monotonic() + self._settings.drain_timeout - margin
        await self._stop_waiter()
        self._holdings.release_pending()
        while True:
            self._wake.clear()
            self.turned_at = time.monotonic()
            left = deadline - time.monotonic()
            try:
                await self._settle()
            except RedisError as error:
                await asyncio.sleep(min(self._membership.failed(error, self._settings), max(left, 0.0)))
                self._wake.set()
            if left <= 0 or not (self._holdings.requests or self._holdings.unsettled):
                break
            await self._sleep(min(left, TURN_SECS))
            # Jobs of a batch that was refused as a whole.
            self._holdings.release_pending()
        if self._holdings.requests:
            log.warning("requests given up at the end of the drain time", requests=self._holdings.requests)
        self._requests.cancel()
        try:
            await self._queue.unregister()
        except RedisError as error:
            log.warning(
                "could not leave the queue; the janitor will give back what is held", error=str(error)
            )


def _rate(settings: Settings) -> tuple[int, int]:
    """Requests, and the milliseconds in which there may be so many."""
    return settings.moog_rate_limit, max(1, round(settings.moog_rate_period * 1000))


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """From another thread; nothing once the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
