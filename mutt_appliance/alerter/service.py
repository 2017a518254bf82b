"""The alerter process: claim a batch, process it, write its audit rows, settle it."""

from __future__ import annotations

import time

from mutt_appliance.alerter.batch import Batch, BatchProcessor
from mutt_appliance.alerter.patterns import PatternHasher
from mutt_appliance.alerter.rule_cache import RuleCache
from mutt_appliance.alerter.upkeep import Upkeep
from mutt_appliance.process import Child
from mutt_appliance.queueing.client import RedisError, blocking_client
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.events import SUSPECT_AFTER, Claim, EventQueue, Settlement, UnhandledPolicy
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import Lease, LeaseLostError, NameTakenError
from mutt_appliance.store.audit import AuditWriter
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.maintenance import start_maintenance_thread
from mutt_appliance.store.pool import Database
from mutt_appliance.telemetry.endpoints import serve_endpoints_in_thread
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics

log = get_logger("alerter")
BACKOFF_FIRST_SECS = 0.1
BACKOFF_MAX_SECS = 5.0
WAIT_SLICE_SECS = 0.5


def run(child: Child) -> None:
    """Work until SIGTERM; the batch in hand is settled first."""
    metrics = AlerterMetrics()
    serve_endpoints_in_thread(
        child.settings.mutt_runtime_dir, child.spec.role, child.sockets["metrics"], child.sockets["health"]
    )
    Alerter(child, metrics).run()


class Alerter:
    """One worker of the alerter pool."""

    def __init__(self, child: Child, metrics: AlerterMetrics) -> None:
        settings = child.settings
        self._child = child
        self._settings = settings
        self._metrics = metrics
        self._database = Database(settings, child.secrets, f"mutt {child.name}")
        self._audit = AuditWriter(self._database)
        self._rules = RuleCache(child, self._database, metrics)
        self._client = blocking_client(settings, child.secrets, child.name)
        keys = KeySpace(settings)
        ttl_ms = int(settings.alerter_janitor_timeout * 1000)
        self._lease = Lease(keys.events, child.spec.worker_name, child.spec.run_id, ttl_ms)
        self._queue = EventQueue(self._client, keys, self._lease)
        self._policy = UnhandledPolicy(settings.unhandled_threshold, settings.unhandled_expiry_seconds)
        self._hasher = PatternHasher()
        self._registered = False
        self._backoff_secs = BACKOFF_FIRST_SECS
        self._warned_depth = False
        self._deferring = False

    def run(self) -> None:
        """The loop; every turn beats, and none blocks for longer than BRPOPLPUSH_TIMEOUT or a statement's time."""
        child = self._child
        start_maintenance_thread(child, self._database)
        self._rules.start()
        Upkeep(child, self._lease, self._metrics).start()
        child.ready()
        while not child.stopping.is_set():
            child.beat()
            if child.reloading.is_set():
                child.reloading.clear()
                self._rules.reload()
            if not self._rules.loaded.is_set():
                self._rules.loaded.wait(0.2)
                continue
            try:
                self._turn()
            except LeaseLostError:
                log.warning("lease lost, its batch goes to others", worker=self._lease.worker)
                self._registered = False
            except NameTakenError as error:
                self._trouble("redis", str(error))
            except RedisError as error:
                self._trouble("redis", f"{self._settings.redis_address}: {type(error).__name__}: {error}")
            except StoreUnavailable as error:
                self._trouble("database", str(error).strip())
        self._leave()

    def _turn(self) -> None:
        if not self._registered:
            returned = self._queue.register()
            self._registered = True
            if returned:
                log.info("events of this worker's former life go back to the queue", events=returned)
        claim = self._queue.claim(0 if self._deferring else self._settings.alerter_batch_size)
        self._well("redis")
        self._watch_depths(claim)
        if not claim.items:
            self._metrics.processing_depth.set(0)
            if self._deferring:
                self._metrics.shed.labels(mode="defer").inc()
                self._child.stopping.wait(self._settings.alerter_defer_sleep_ms / 1000)
            else:
                self._wait_for_events()
            return
        started = time.perf_counter()
        self._process(claim)
        self._metrics.latency.observe(time.perf_counter() - started)

    def _wait_for_events(self) -> None:
        """Up to BRPOPLPUSH_TIMEOUT, in slices: a signal is heard only between two of them."""
        until = time.monotonic() + self._settings.brpoplpush_timeout
        while not (self._child.stopping.is_set() or self._child.reloading.is_set()):
            left = until - time.monotonic()
            if left <= 0 or self._queue.wait(min(left, WAIT_SLICE_SECS)):
                return
            self._child.beat()

    def _process(self, claim: Claim) -> None:
        """Decide, audit, settle. What fails before the settlement leaves the batch claimed, and it comes again."""
        rules = self._rules.current
        assert rules is not None  # noqa: S101 - `loaded` was awaited
        self._metrics.processing_depth.set(len(claim.items))
        if claim.deaths - SUSPECT_AFTER >= self._settings.alerter_max_retries and len(claim.items) == 1:
            batch = self._condemned(claim)
        else:
            processor = BatchProcessor(rules, self._settings.unhandled_default_team, self._hasher)
            batch = processor.process(claim.items)
        if batch.rows:
            written = time.perf_counter()
            refused = self._audit.write(batch.rows)
            self._metrics.db_latency.observe((time.perf_counter() - written) * 1000)
            self._well("database")
            batch.without_refused({row.index: row.reason for row in refused})
        alerts = batch.alerts_to_send()
        shed_from = (
            self._settings.alerter_queue_shed_threshold if self._settings.alerter_shed_mode == "dlq" else 0
        )
        settled = self._queue.settle(
            Settlement(batch.size, alerts, batch.dead, batch.unhandled), self._policy, shed_from
        )
        self._backoff_secs = BACKOFF_FIRST_SECS
        if settled.shed:
            self._metrics.shed.labels(mode="dlq").inc(settled.shed)
            log.warning(
                "alerts shed to the dead letters", alerts=settled.shed, alert_queue_depth=settled.alert_depth
            )
        self._count(batch)
        self._metrics.queue_depth.set(settled.alert_depth)
        self._metrics.dlq_depth.set(settled.dead_depth)

    def _condemned(self, claim: Claim) -> Batch:
        reason = (
            f"{claim.deaths} workers died while they held this event, the last ones with nothing else in hand"
        )
        log.error("event is given up", reason=reason)
        return Batch(1, dead=[dead_letter(claim.items[0], reason, claim.deaths, "alerter")])

    def _count(self, batch: Batch) -> None:
        poison = len(batch.dead)
        for status, amount in (
            ("handled", len(batch.rows)),
            ("unhandled", batch.unhandled_events),
            ("poison", poison),
        ):
            if amount:
                self._metrics.events.labels(status=status).inc(amount)
        if poison:
            log.warning("events became dead letters", events=poison, queue=self._settings.alerter_dlq_name)

    # --- back-pressure

    def _watch_depths(self, claim: Claim) -> None:
        self._metrics.queue_depth.set(claim.alert_depth)
        self._metrics.dlq_depth.set(claim.dead_depth)
        deep = claim.alert_depth >= self._settings.alerter_queue_warn_threshold
        if deep and not self._warned_depth:
            log.warning(
                "alert queue is deep",
                depth=claim.alert_depth,
                warn_threshold=self._settings.alerter_queue_warn_threshold,
                shed_threshold=self._settings.alerter_queue_shed_threshold,
            )
        self._warned_depth = deep
        shedding = claim.alert_depth >= self._settings.alerter_queue_shed_threshold
        words = f"{claim.alert_depth} alerts wait" + (
            f", mode {self._settings.alerter_shed_mode}" if shedding else ""
        )
        self._child.health.set("alert_queue", not shedding, words if deep else "ok")
        # The batch that is in hand when the threshold is met is still processed; nothing is claimed after it.
        self._deferring = shedding and self._settings.alerter_shed_mode == "defer"

    # --- trouble

    def _well(self, component: str) -> None:
        if self._child.health.set(component, True):
            log.info(f"{component} answers")

    def _trouble(self, component: str, text: str) -> None:
        """Note it, and wait a little longer each time; what is claimed stays claimed."""
        if self._child.health.set(component, False, text):
            log.error(f"{component} is away, events wait", error=text)
        self._metrics.events.labels(status="error").inc()
        self._child.stopping.wait(self._backoff_secs)
        self._backoff_secs = min(self._backoff_secs * 2, BACKOFF_MAX_SECS)

    def _leave(self) -> None:
        try:
            if self._registered:
                self._queue.unregister()
        except RedisError as error:
            log.warning("could not sign off, the janitor will", error=str(error))
        self._client.close()
        self._database.close()
