"""The forwarder process: claims alerts, posts them, settles what became of them, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import Callable

import redis.asyncio
import uvloop
from aiohttp import web

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.forwarder.breaker import Breaker
from mutt_appliance.forwarder.depths import DepthBoard
from mutt_appliance.forwarder.fairness import share_out
from mutt_appliance.forwarder.housekeeping import end, keep_beating, keep_lease, run_janitor
from mutt_appliance.forwarder.jobs import spared
from mutt_appliance.forwarder.lane import TURN_SECS, Lane
from mutt_appliance.forwarder.moog import NEVER_IN_SIGNATURE
from mutt_appliance.forwarder.requests import Requests
from mutt_appliance.forwarder.second_chance import PACE_SECS, Room, SecondChance
from mutt_appliance.forwarder.sender import Sender
from mutt_appliance.process import Child
from mutt_appliance.queueing.circuit import Circuit
from mutt_appliance.queueing.client import RedisError, blocking_client
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.limiter import RateLimiter
from mutt_appliance.queueing.outcomes import OutcomeCounter
from mutt_appliance.queueing.shards import (
    LOOK_SECS,
    AsyncShard,
    Shards,
    async_shards,
    close_all,
    known_shards_async,
)
from mutt_appliance.telemetry.endpoints import add_endpoints, serve
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import ForwarderMetrics, TlsMetrics
from mutt_appliance.telemetry.secret_use import KeyUse
from mutt_appliance.tls.watch import CertificateWatch

log = get_logger("forwarder")

# While it drains, the limiter hears this often of ended requests, and has so long to answer.
TELL_SECS = 0.1


def run(child: Child) -> None:
    """Forward until SIGTERM; requests under way are finished first."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(forward(child, ForwarderMetrics()))


async def forward(child: Child, metrics: ForwarderMetrics) -> None:
    """The whole life of a forwarder inside a running event loop."""
    settings = child.settings
    for field in set(settings.moog_signature_fields) & NEVER_IN_SIGNATURE:
        log.warning("MOOG_SIGNATURE_FIELDS: left out, it differs between events about one thing", field=field)
    shards = async_shards(settings, lambda: child.secrets, child.name, waits=True)
    listening = blocking_client(settings, lambda: child.secrets, child.name)
    live = LiveSettings(settings, listening, KeySpace(settings))
    use = KeyUse("moog_api_key", child.secrets, ours=True)
    sender = Sender(settings, child.secrets, use)
    certificates = CertificateWatch(child, sender.tls, TlsMetrics())
    app = web.Application()
    add_endpoints(app, settings.mutt_runtime_dir, child.spec.role)
    endpoints = await serve(app, child.sockets["metrics"], child.sockets["health"])
    try:
        await Forwarder(child, live, shards, sender, metrics, certificates).run()
    finally:
        await endpoints.cleanup()
        await sender.close()
        await close_all(shards)
        listening.close()


class Forwarder:
    """A lane for each shard; what they hold is sent from here, in turn, within one limit."""

    def __init__(
        self,
        child: Child,
        live: LiveSettings,
        shards: Shards[redis.asyncio.Redis],
        sender: Sender,
        metrics: ForwarderMetrics,
        certificates: CertificateWatch,
    ) -> None:
        settings = child.settings
        home = shards.home
        self._child = child
        self._live = live
        self._shards = shards
        self._sender = sender
        self._metrics = metrics
        request_ms = round(settings.moog_webhook_timeout * 1000)
        self._limiter = RateLimiter(home.client, home.keys.rate_limit, *_rate(settings), request_ms)
        self._outcomes = OutcomeCounter(home.client, home.keys, "forwarder")
        self._depths = DepthBoard(child, metrics)
        self._certificates = certificates
        self._wake = asyncio.Event()
        circuit = Circuit(home.client, home.keys)
        self._breaker = Breaker(child, live, circuit, metrics, self._wake_all)
        self._requests = Requests(
            child,
            live,
            sender,
            metrics,
            self._outcomes,
            self._limiter,
            self._one_more_token,
            self._breaker,
            self._end_outage,
        )
        self._lanes: list[Lane] = []
        self._first = 0
        self._probes = 0
        self._tokens_at = 0.0
        self._limiter_at = 0.0
        self._turned_at = time.monotonic()

    @property
    def _settings(self) -> Settings:
        return self._live.current

    @property
    def turned_at(self) -> float:
        """When the loop that turned last of all did (monotonic seconds)."""
        return min(self._turned_at, *(lane.turned_at for lane in self._lanes))

    async def run(self) -> None:
        """Forward until the child is told to stop, then settle and leave."""
        child = self._child
        loop = asyncio.get_running_loop()
        child.bind_loop(loop, self._wake_all, self._reload)
        told = functools.partial(_call_soon, loop, self._settings_changed)
        await asyncio.to_thread(self._live.start, child.stopping, {"config": told})
        child.health.set("moogsoft", True, f"{self._sender.place}: nothing sent yet")
        # A helper or a request that fails in a way nobody foresaw ends the process, and what it
        # holds goes back to the queue; silence would keep it for ever.
        async with asyncio.TaskGroup() as group:
            helpers: list[asyncio.Task[None]] = []
            loops = [self._open(shard, group, helpers) for shard in self._shards]
            helpers.append(group.create_task(keep_beating(child, self)))
            helpers.append(group.create_task(self._outcomes.keep()))
            helpers.append(group.create_task(self._breaker.watch()))
            helpers.append(group.create_task(self._give_second_chances()))
            helpers.append(group.create_task(self._look_for_more(group, helpers, loops)))
            child.ready()
            try:
                while not child.stopping.is_set():
                    self._wake.clear()
                    self._turned_at = time.monotonic()
                    self._certificates.turn()
                    await self._begin_requests(group)
                    await self._sleep()
                await self._end(loops)
            finally:
                await end(helpers)
        await self._outcomes.write()

    def _open(
        self, shard: AsyncShard, group: asyncio.TaskGroup, helpers: list[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        """Serve a shard from now on."""
        lane = Lane(
            self._child,
            self._live,
            shard,
            self._depths,
            slots_free=self._slots_free,
            holds_back=lambda: self._breaker.open,
            on_pending=self._wake.set,
            on_settled=self._requests.count,
        )
        self._lanes.append(lane)
        settings = self._settings
        helpers.append(group.create_task(keep_lease(lane.membership, settings, lane.wake)))
        helpers.append(group.create_task(run_janitor(lane.queue, self._metrics, settings)))
        return group.create_task(lane.run())

    async def _give_second_chances(self) -> None:
        """Replay what used up its retries, while Moogsoft is well and hardly anything waits."""

        def room() -> Room:
            well = not self._breaker.open and self._breaker.state.failures == 0
            return Room(well, sum(lane.waiting for lane in self._lanes))

        chances = SecondChance(self._shards, lambda: self._settings, room, self._metrics)
        while True:
            rest_secs = PACE_SECS
            try:
                rest_secs = await chances.turn()
            except RedisError as error:
                # The lanes meet the same trouble and report it.
                log.debug("no second chances", error=str(error))
            await asyncio.sleep(rest_secs)

    async def _look_for_more(
        self,
        group: asyncio.TaskGroup,
        helpers: list[asyncio.Task[None]],
        loops: list[asyncio.Task[None]],
    ) -> None:
        """Serve what is left in shards that are in the configuration no more."""
        while True:
            try:
                for shard in self._shards.add(await known_shards_async(self._shards.home)):
                    log.warning("serving a shard beyond REDIS_SHARDS until it is empty", shard=shard.number)
                    loops.append(self._open(shard, group, helpers))
            except RedisError as error:
                # The lane of home meets the same trouble and reports it.
                log.debug("no look for shards", error=str(error))
            await asyncio.sleep(LOOK_SECS)

    def _slots_free(self) -> int:
        return self._settings.moog_max_concurrency - sum(lane.holdings.requests for lane in self._lanes)

    def _wishes(self, most: int) -> list[int]:
        """How many requests each lane could make; while Moogsoft is away only that with the alert of a probe, one."""
        if not self._breaker.open:
            return [lane.wanted(most) for lane in self._lanes]
        return [lane.wanted(1) if lane.probing and not self._probes else 0 for lane in self._lanes]

    async def _claim_probe(self) -> None:
        """Moogsoft is away: have one alert claimed if a probe is due, and is ours to send."""
        if self._probes or any(lane.probing for lane in self._lanes):
            return
        first = self._first % len(self._lanes)
        waiting = [lane for lane in self._lanes[first:] + self._lanes[:first] if lane.waiting]
        if waiting and await self._breaker.may_probe():
            self._first += 1
            waiting[0].claim_probe()

    def _begin(self, token: str, lane: Lane, group: asyncio.TaskGroup) -> None:
        if not self._breaker.open:
            self._requests.begin(token, lane.holdings, functools.partial(self._ended, lane), group)
            return
        lane.probing = False
        self._probes += 1
        ended = functools.partial(self._probe_ended, lane)
        self._requests.begin(token, lane.holdings, ended, group, probe=True)

    def _probe_ended(self, lane: Lane) -> None:
        self._probes -= 1
        self._ended(lane)

    async def _end_outage(self) -> None:
        """A probe was answered: what waits goes out by age, without the attempts that the outage cost."""
        onward = functools.partial(spared, row=self._breaker.state.row)
        for lane in self._lanes:
            try:
                await lane.queue.put_in_order(onward)
            except RedisError as error:
                # Its alerts go out in the order they lie in, its retries when they are due.
                log.warning("not put in order by age", shard=lane.shard.number, error=str(error))
        await self._breaker.close()

    async def _begin_requests(self, group: asyncio.TaskGroup) -> None:
        """Tell the limiter which requests have ended, and begin as many as there is room for and it grants."""
        if self._breaker.open:
            await self._claim_probe()
        now = time.monotonic()
        free = self._slots_free()
        wanted = 0
        if now >= self._tokens_at:
            wanted = max(0, min(free, sum(self._wishes(free))))
        if now < self._limiter_at or not (wanted or self._limiter.untold):
            return
        rate = _rate(self._settings)
        self._limiter.allow(*rate)
        try:
            grant = await self._limiter.take(wanted)
        except RedisError as error:
            # Without the count that all forwarders share nothing is sent; home's lane says so, too.
            self._limiter_at = time.monotonic() + self._lanes[0].membership.failed(error, self._settings)
            return
        if len(grant.tokens) < wanted:
            self._metrics.rate_limit_hits.inc()
            # The wait is for the rate that was asked with, which may have changed meanwhile.
            if rate == _rate(self._settings):
                self._tokens_at = time.monotonic() + grant.wait_ms / 1000
        # Asked again: a lease may have been lost, or the circuit opened, while the limiter was.
        shares = share_out(self._wishes(free), len(grant.tokens), self._first)
        self._first += len(grant.tokens)
        tokens = iter(grant.tokens)
        for lane, share in zip(self._lanes, shares, strict=True):
            for token in itertools.islice(tokens, share):
                self._begin(token, lane, group)
        self._limiter.hand_back(tokens)

    def _ended(self, lane: Lane) -> None:
        """A request ended: its lane settles it, and the others may have room again."""
        if self._slots_free() == 1:
            for each in self._lanes:
                each.wake()
        lane.wake()
        self._wake.set()

    async def _one_more_token(self) -> str | None:
        """Wait for one more request within the rate limit; None when the limiter cannot be asked, or we stop."""
        while not self._child.stopping.is_set():
            try:
                grant = await self._limiter.take(1)
            except RedisError:
                return None
            if grant.tokens:
                return grant.tokens[0]
            await asyncio.sleep(grant.wait_ms / 1000)
        return None

    async def _sleep(self) -> None:
        """Until something wakes the loop, or the limiter may be asked again."""
        now = time.monotonic()
        until = now + TURN_SECS
        free = self._slots_free()
        if free > 0 and any(self._wishes(free)):
            until = min(until, max(self._tokens_at, self._limiter_at))
        if self._limiter.untold:
            until = min(until, self._limiter_at)
        if until <= now or self._wake.is_set():
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until - now):
                await self._wake.wait()

    def _wake_all(self) -> None:
        self._wake.set()
        for lane in self._lanes:
            lane.wake()

    def _settings_changed(self) -> None:
        """A wait for the old rate limit may be too long for the new one."""
        self._tokens_at = 0.0
        self._wake_all()

    def _reload(self) -> None:
        """SIGHUP: key and certificates may be new; everything else is as it was at the start."""
        try:
            self._sender.use_secrets(self._child.secrets)
        except ConfigError as error:
            log.error("new key cannot be used, the old one stays", error=str(error))
        else:
            log.info("reloaded")
        self._certificates.reload()

    async def _end(self, loops: list[asyncio.Task[None]]) -> None:
        """Every lane gives back what was not sent and waits for its requests, within the drain time."""
        self._wake_all()
        left = set(loops)
        while left:
            _, left = await asyncio.wait(left, timeout=TELL_SECS)
            await self._tell_limiter()
        under_way = sum(lane.holdings.requests for lane in self._lanes)
        if under_way:
            log.warning("requests given up at the end of the drain time", requests=under_way)
        await self._requests.give_up()
        await asyncio.gather(self._tell_limiter(), *(lane.leave() for lane in self._lanes))

    async def _tell_limiter(self) -> None:
        """What has ended leaves room for others; what they are not told they find out, later."""
        if self._limiter.untold:
            with contextlib.suppress(RedisError, TimeoutError):
                async with asyncio.timeout(TELL_SECS):
                    await self._limiter.take(0)


def _rate(settings: Settings) -> tuple[int, int]:
    """Requests, and the milliseconds in which there may be so many."""
    return settings.moog_rate_limit, max(1, round(settings.moog_rate_period * 1000))


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """From another thread; nothing once the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
