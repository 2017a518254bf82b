"""What the workers of one alerter process share: rules, stores, metrics, health, back-pressure."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from mutt_appliance.alerter.batch import Batch, BatchProcessor
from mutt_appliance.alerter.rule_cache import RuleCache
from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.queueing.events import Claim, Settled, UnhandledPolicy
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.rules.patterns import PatternHasher
from mutt_appliance.store.audit import AuditWriter
from mutt_appliance.store.pool import Database
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics

log = get_logger("alerter")


class Shared:
    """The alerter process as its workers see it; safe to use from any thread."""

    def __init__(self, child: Child, metrics: AlerterMetrics) -> None:
        settings = child.settings
        self.child = child
        self.metrics = metrics
        self.keys = KeySpace(settings)
        self.client = blocking_client(settings, child.secrets, child.name)
        self.live = LiveSettings(settings, self.client, self.keys)
        self.database = Database(settings, child.secrets, f"mutt {child.name}")
        self.audit = AuditWriter(self.database)
        self.rules = RuleCache(child, self.live, self.database, metrics)
        self._hasher = PatternHasher()
        # Hyperscan's scratch space and the hasher's cache serve one thread at a time.
        self._deciding = threading.Lock()
        self.tracing = child.start_tracing()
        self._warned_depth = False

    @property
    def settings(self) -> Settings:
        """The settings of now; look once for a batch."""
        return self.live.current

    @property
    def unhandled_policy(self) -> UnhandledPolicy:
        """When a pattern is reported."""
        settings = self.settings
        return UnhandledPolicy(settings.unhandled_threshold, settings.unhandled_expiry_seconds)

    @property
    def shed_from_depth(self) -> int:
        """Depth of the alert queue from which alerts are shed to the dead letters, 0 for never."""
        settings = self.settings
        return settings.alerter_queue_shed_threshold if settings.alerter_shed_mode == "dlq" else 0

    def decide(self, items: Sequence[bytes]) -> Batch:
        """What becomes of each item, by the rules of now."""
        rules = self.rules.current
        if rules is None:
            raise RuntimeError("events are claimed only after the rules were loaded")
        with self._deciding:
            return BatchProcessor(rules, self.settings.unhandled_default_team, self._hasher).process(items)

    def watch_depths(self, claim: Claim) -> bool:
        """Report the depth of the alert queue; True if the alerter must defer."""
        depth, settings = claim.alert_depth, self.settings
        self.metrics.queue_depth.set(depth)
        self.metrics.dlq_depth.set(claim.dead_depth)
        deep = depth >= settings.alerter_queue_warn_threshold
        if deep and not self._warned_depth:
            log.warning(
                "alert queue is deep",
                depth=depth,
                warn_threshold=settings.alerter_queue_warn_threshold,
                shed_threshold=settings.alerter_queue_shed_threshold,
            )
        self._warned_depth = deep
        shedding = depth >= settings.alerter_queue_shed_threshold
        words = f"{depth} alerts wait" + (f", mode {settings.alerter_shed_mode}" if shedding else "")
        self.child.health.set("alert_queue", not shedding, words if deep else "ok")
        return shedding and settings.alerter_shed_mode == "defer"

    def settled(self, batch: Batch, settled: Settled) -> None:
        """Count a settled batch."""
        poison = len(batch.dead)
        for status, amount in (
            ("handled", len(batch.rows)),
            ("unhandled", batch.unhandled_events),
            ("poison", poison),
        ):
            if amount:
                self.metrics.events.labels(status=status).inc(amount)
        if poison:
            log.warning("events became dead letters", events=poison, queue=self.settings.alerter_dlq_name)
        if settled.shed:
            self.metrics.shed.labels(mode="dlq").inc(settled.shed)
            log.warning("alerts shed to the dead letters", alerts=settled.shed, depth=settled.alert_depth)
        self.metrics.queue_depth.set(settled.alert_depth)
        self.metrics.dlq_depth.set(settled.dead_depth)

    def well(self, component: str) -> None:
        """A store answered."""
        if self.child.health.set(component, True):
            log.info(f"{component} answers")

    def trouble(self, component: str, text: str) -> None:
        """A store did not; events wait where they are."""
        if self.child.health.set(component, False, text):
            log.error(f"{component} is away, events wait", error=text)
        self.metrics.events.labels(status="error").inc()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.database.close()
