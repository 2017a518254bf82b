"""One worker: claim a batch, process it, write its audit rows, settle it, over and over.

An alerter process has more than one, so that one batch is matched while another waits for the stores.
Python runs one of them at a time; what overlaps is the waiting. Every worker serves every shard, each
where there is work in turn, so that none is left alone as long as one worker lives; it has a lease and a
processing list of its own in each.
"""

from __future__ import annotations

import threading
import time

from mutt_appliance.alerter.batch import Batch
from mutt_appliance.alerter.bell import WAIT_SLICE_SECS
from mutt_appliance.alerter.fates import fates, parsed
from mutt_appliance.alerter.shard_view import ShardView
from mutt_appliance.alerter.shared import Shared
from mutt_appliance.alerter.spans import spans_of_batch
from mutt_appliance.backoff import Backoff
from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.events import SUSPECT_AFTER, Claim, EventQueue, Settlement
from mutt_appliance.queueing.lease import Lease, LeaseLostError, NameTakenError
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.telemetry.logs import debug_is_shown, get_logger

log = get_logger("alerter")
BACKOFF_FIRST_SECS = 0.1
BACKOFF_MAX_SECS = 5.0
# Shorter than anybody notices, and long enough not to be a spin while another worker finds out about a shard.
REST_MIN_SECS = 0.02


class Seat:
    """A worker's place at one shard: its lease and list there."""

    def __init__(self, view: ShardView, worker: str, run_id: str, ttl_ms: int) -> None:
        self.view = view
        shard = view.shard
        self.lease = Lease(shard.keys.events, worker, run_id, ttl_ms)
        self.queue = EventQueue(shard.client, shard.keys, self.lease)
        self.registered = False
        # Something may be on the list that is not settled: it comes with the next claim.
        self.unsettled = False
        self.held = 0

    def due_in(self, *, deferring: bool) -> float:
        """Seconds until it should be visited."""
        return 0.0 if self.unsettled or deferring or not self.registered else self.view.due_in()


class Worker:
    """Works until the process is told to stop; `last_turn` (monotonic seconds) shows that it lives."""

    def __init__(self, shared: Shared, number: int) -> None:
        self._shared = shared
        self._stopping = shared.child.stopping
        self._name = f"{shared.child.spec.worker_name}-{number}"
        self._seats: list[Seat] = []
        self._next = number
        self._backoff = Backoff(BACKOFF_FIRST_SECS, BACKOFF_MAX_SECS)
        self._deferring = False
        self.last_turn = time.monotonic()
        self.thread = threading.Thread(target=self._loop, name=f"worker-{number}")

    @property
    def _settings(self) -> Settings:
        return self._shared.settings

    @property
    def held(self) -> int:
        """Events in hand."""
        return sum(seat.held for seat in self._seats)

    def take_seat(self, view: ShardView) -> Seat:
        """Serve a shard from now on."""
        ttl_ms = int(self._settings.alerter_janitor_timeout * 1000)
        seat = Seat(view, self._name, self._shared.child.spec.run_id, ttl_ms)
        self._seats.append(seat)
        return seat

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self.last_turn = time.monotonic()
            if not self._shared.rules.loaded.wait(WAIT_SLICE_SECS):
                continue
            try:
                self._turn()
            except StoreUnavailable as error:
                # What is claimed stays claimed.
                self._shared.trouble("database", str(error).strip())
                self._stopping.wait(self._backoff.next_secs())
        self._leave()

    def _turn(self) -> None:
        """A batch of each shard that has one, or one wait for events. Raises StoreUnavailable."""
        rung = self._shared.bell.rung
        worked = False
        # From where the last turn ended, whatever ended it: no shard is always the last one.
        for _ in range(len(self._seats)):
            if self._stopping.is_set():
                return
            seat = self._seats[self._next % len(self._seats)]
            self._next += 1
            if seat.due_in(deferring=self._deferring) <= 0 and seat.view.admits():
                self.last_turn = time.monotonic()
                worked = self._visit(seat) or worked
        if not worked:
            self._rest(rung)

    def _visit(self, seat: Seat) -> bool:
        """A batch of one shard; False if there was none."""
        try:
            claim = self._claim(seat)
            if claim.items:
                started = time.perf_counter()
                self._process(seat, claim)
                self._shared.metrics.latency.observe(time.perf_counter() - started)
            seat.unsettled = False
            return bool(claim.items)
        except LeaseLostError:
            log.warning("lease lost, its batch goes to others", worker=seat.lease.worker)
            seat.registered = seat.unsettled = False
            return True
        except NameTakenError as error:
            seat.view.failed()
            self._shared.trouble("lease", str(error))
        except RedisError as error:
            self._shared.redis_trouble(seat.view, error)
        return False

    def _claim(self, seat: Seat) -> Claim:
        with seat.view.asking():
            if not seat.registered:
                returned = seat.queue.register()
                seat.registered = True
                self._shared.child.health.set("lease", True, seat.lease.worker)
                if returned:
                    log.info("events of this worker's former life go back to the queue", events=returned)
            seat.unsettled = True
            claim = seat.queue.claim(0 if self._deferring else self._settings.alerter_batch_size)
        seat.held = len(claim.items)
        self._shared.redis_well(seat.view)
        # The batch that is in hand when the threshold is met is still processed; nothing is claimed after it.
        self._deferring = self._shared.watch_depths(seat.view, claim)
        return claim

    def _rest(self, rung: int) -> None:
        """Nothing to do: until there is, or until a shard should be looked at again."""
        seats = tuple(self._seats)
        if self._deferring:
            self._shared.metrics.shed.labels(mode="defer").inc()
            self._stopping.wait(self._settings.alerter_defer_sleep_ms / 1000)
        elif len(seats) == 1 and seats[0].view.answers:
            self._wait_at(seats[0])
        else:
            secs = min(max(seat.due_in(deferring=False), seat.view.due_in()) for seat in seats)
            self._shared.bell.wait(rung, min(max(secs, REST_MIN_SECS), WAIT_SLICE_SECS))

    def _wait_at(self, seat: Seat) -> None:
        """Up to BRPOPLPUSH_TIMEOUT, in slices: a stop is heard only between two of them."""
        until = time.monotonic() + self._settings.brpoplpush_timeout
        try:
            while not self._stopping.is_set() and len(self._seats) == 1:
                self.last_turn = time.monotonic()
                left = until - self.last_turn
                if left <= 0 or seat.queue.wait(min(left, WAIT_SLICE_SECS)):
                    break
        except RedisError as error:
            self._shared.redis_trouble(seat.view, error)
        seat.unsettled = True

    def _process(self, seat: Seat, claim: Claim) -> None:
        """Decide, audit, settle. What fails before the settlement leaves the batch claimed, and it comes again."""
        shared = self._shared
        claimed_ns = time.time_ns()
        if len(claim.items) == 1 and claim.deaths - SUSPECT_AFTER >= self._settings.alerter_max_retries:
            batch = _condemned(claim)
        else:
            batch = shared.decide(claim.items)
        queue = seat.view.shard.keys.ingest_queue
        with spans_of_batch(shared.tracing, queue, claim.items, batch, claimed_ns) as spans:
            if batch.rows:
                written = time.perf_counter()
                refused = shared.audit.write(batch.rows)
                shared.metrics.db_latency.observe((time.perf_counter() - written) * 1000)
                shared.well("database")
                batch.without_refused({row.index: row.reason for row in refused})
                spans.note("audited")
            settlement = Settlement(
                batch.size, batch.alerts_to_send(), batch.dead, batch.unhandled, batch.activity()
            )
            with seat.view.asking():
                settled = seat.queue.settle(settlement, shared.unhandled_policy, shared.shedding(seat.view))
            spans.settled(settled)
        if debug_is_shown():
            for fate in fates(claim.items, batch, shed=settled.shed > 0):
                log.debug("event processed", **fate.facts())
        self._backoff.reset()
        seat.held = 0
        shared.settled(seat.view, batch, settled)

    def _leave(self) -> None:
        for seat in self._seats:
            try:
                if seat.registered:
                    seat.queue.unregister()
            except RedisError as error:
                log.warning(
                    "could not sign off, the janitor will", worker=seat.lease.worker, error=str(error)
                )


def _condemned(claim: Claim) -> Batch:
    reason = (
        f"{claim.deaths} workers died while they held this event, the last ones with nothing else in hand"
    )
    event = parsed(claim.items[0]) or {}
    log.error("event is given up", reason=reason, correlation_id=event.get("correlation_id"))
    batch = Batch(1)
    batch.bury(claim.items[0], reason, claim.deaths)
    return batch
