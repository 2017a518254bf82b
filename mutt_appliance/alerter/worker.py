"""One worker: claim a batch, process it, write its audit rows, settle it, over and over.

An alerter process has more than one, each with its own lease and processing list, so that one batch
is matched while another waits for the stores. Python runs one of them at a time; what overlaps is
the waiting.
"""

from __future__ import annotations

import threading
import time

from mutt_appliance.alerter.batch import Batch
from mutt_appliance.alerter.fates import fates, parsed
from mutt_appliance.alerter.shared import Shared
from mutt_appliance.alerter.spans import spans_of_batch
from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.events import SUSPECT_AFTER, Claim, EventQueue, Settlement
from mutt_appliance.queueing.lease import Lease, LeaseLostError, NameTakenError
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.telemetry.logs import debug_is_shown, get_logger

log = get_logger("alerter")
BACKOFF_FIRST_SECS = 0.1
BACKOFF_MAX_SECS = 5.0
WAIT_SLICE_SECS = 0.5


class Worker:
    """Works until the process is told to stop; `last_turn` (monotonic seconds) shows that it lives."""

    def __init__(self, shared: Shared, number: int) -> None:
        self._shared = shared
        self._stopping = shared.child.stopping
        spec = shared.child.spec
        ttl_ms = int(shared.settings.alerter_janitor_timeout * 1000)
        self.lease = Lease(shared.keys.events, f"{spec.worker_name}-{number}", spec.run_id, ttl_ms)
        self._queue = EventQueue(shared.client, shared.keys, self.lease)
        self._registered = False
        self._backoff_secs = BACKOFF_FIRST_SECS
        self._deferring = False
        self.held = 0
        self.last_turn = time.monotonic()
        self.thread = threading.Thread(target=self._loop, name=f"worker-{number}")

    @property
    def _settings(self) -> Settings:
        return self._shared.settings

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self.last_turn = time.monotonic()
            if not self._shared.rules.loaded.wait(WAIT_SLICE_SECS):
                continue
            try:
                self.turn()
            except LeaseLostError:
                log.warning("lease lost, its batch goes to others", worker=self.lease.worker)
                self._registered = False
            except NameTakenError as error:
                self._trouble("redis", str(error))
            except RedisError as error:
                self._trouble("redis", f"{self._settings.redis_address}: {type(error).__name__}: {error}")
            except StoreUnavailable as error:
                self._trouble("database", str(error).strip())
        self._leave()

    def turn(self) -> None:
        """One batch, or one wait for events. Raises RedisError, LeaseLostError, StoreUnavailable."""
        if not self._registered:
            returned = self._queue.register()
            self._registered = True
            if returned:
                log.info("events of this worker's former life go back to the queue", events=returned)
        claim = self._queue.claim(0 if self._deferring else self._settings.alerter_batch_size)
        self._shared.well("redis")
        # The batch that is in hand when the threshold is met is still processed; nothing is claimed after it.
        self._deferring = self._shared.watch_depths(claim)
        self.held = len(claim.items)
        if claim.items:
            started = time.perf_counter()
            self._process(claim)
            self._shared.metrics.latency.observe(time.perf_counter() - started)
        elif self._deferring:
            self._shared.metrics.shed.labels(mode="defer").inc()
            self._stopping.wait(self._settings.alerter_defer_sleep_ms / 1000)
        else:
            self._wait_for_events()

    def _wait_for_events(self) -> None:
        """Up to BRPOPLPUSH_TIMEOUT, in slices: a stop is heard only between two of them."""
        until = time.monotonic() + self._settings.brpoplpush_timeout
        while not self._stopping.is_set():
            self.last_turn = time.monotonic()
            left = until - self.last_turn
            if left <= 0 or self._queue.wait(min(left, WAIT_SLICE_SECS)):
                return

    def _process(self, claim: Claim) -> None:
        """Decide, audit, settle. What fails before the settlement leaves the batch claimed, and it comes again."""
        shared = self._shared
        claimed_ns = time.time_ns()
        if len(claim.items) == 1 and claim.deaths - SUSPECT_AFTER >= self._settings.alerter_max_retries:
            batch = _condemned(claim)
        else:
            batch = shared.decide(claim.items)
        queue = shared.keys.ingest_queue
        with spans_of_batch(shared.tracing, queue, claim.items, batch, claimed_ns) as spans:
            if batch.rows:
                written = time.perf_counter()
                refused = shared.audit.write(batch.rows)
                shared.metrics.db_latency.observe((time.perf_counter() - written) * 1000)
                shared.well("database")
                batch.without_refused({row.index: row.reason for row in refused})
                spans.note("audited")
            settled = self._queue.settle(
                Settlement(batch.size, batch.alerts_to_send(), batch.dead, batch.unhandled, batch.activity()),
                shared.unhandled_policy,
                shared.shed_from_depth,
            )
            spans.settled(settled)
        if debug_is_shown():
            for fate in fates(claim.items, batch, shed=settled.shed > 0):
                log.debug("event processed", **fate.facts())
        self._backoff_secs = BACKOFF_FIRST_SECS
        self.held = 0
        shared.settled(batch, settled)

    def _trouble(self, component: str, text: str) -> None:
        """Note it, and wait a little longer each time; what is claimed stays claimed."""
        self._shared.trouble(component, text)
        self._stopping.wait(self._backoff_secs)
        self._backoff_secs = min(self._backoff_secs * 2, BACKOFF_MAX_SECS)

    def _leave(self) -> None:
        try:
            if self._registered:
                self._queue.unregister()
        except RedisError as error:
            log.warning("could not sign off, the janitor will", worker=self.lease.worker, error=str(error))


def _condemned(claim: Claim) -> Batch:
    reason = (
        f"{claim.deaths} workers died while they held this event, the last ones with nothing else in hand"
    )
    event = parsed(claim.items[0]) or {}
    log.error("event is given up", reason=reason, correlation_id=event.get("correlation_id"))
    batch = Batch(1)
    batch.bury(claim.items[0], reason, claim.deaths)
    return batch
