"""What the workers of one alerter process share: rules, stores, metrics, health, back-pressure."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from mutt_appliance.alerter.batch import Batch, BatchProcessor
from mutt_appliance.alerter.bell import Bell
from mutt_appliance.alerter.outage import OutageWatch
from mutt_appliance.alerter.rule_cache import RuleCache
from mutt_appliance.alerter.shard_view import ShardView
from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.queueing.events import NO_SHEDDING, Claim, Settled, Shedding, UnhandledPolicy
from mutt_appliance.queueing.fullness import refusal_of, trouble_of
from mutt_appliance.queueing.shards import BlockingShard, blocking_shards
from mutt_appliance.rules.patterns import PatternHasher
from mutt_appliance.store.audit import AuditWriter
from mutt_appliance.store.pool import Database
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics, secrets_in_use

log = get_logger("alerter")


class Shared:
    """The alerter process as its workers see it; safe to use from any thread."""

    def __init__(self, child: Child, metrics: AlerterMetrics) -> None:
        settings = child.settings
        self.child = child
        self.metrics = metrics
        self.shards = blocking_shards(settings, lambda: child.secrets, child.name, waits=True)
        self.views: list[ShardView] = []
        self.bell = Bell(child.stopping)
        self.live = LiveSettings(settings, self.shards.home.client, self.shards.home.keys)
        self.database = Database(
            settings, child.secrets, f"mutt {child.name}", partial(secrets_in_use().tell, "db_pass")
        )
        self.audit = AuditWriter(self.database)
        self.rules = RuleCache(child, self.live, self.database, metrics)
        self._hasher = PatternHasher()
        # Hyperscan's scratch space and the hasher's cache serve one thread at a time.
        self._deciding = threading.Lock()
        self.tracing = child.start_tracing()
        self._warned_depth = False
        self.outage = OutageWatch(self.shards.home, child.stopping, self._backlog_is_gone)

    @property
    def settings(self) -> Settings:
        """The settings of now; look once for a batch."""
        return self.live.current

    @property
    def unhandled_policy(self) -> UnhandledPolicy:
        """When a pattern is reported."""
        settings = self.settings
        return UnhandledPolicy(settings.unhandled_threshold, settings.unhandled_expiry_seconds)

    def view(self, shard: BlockingShard) -> ShardView:
        """Know one more shard."""
        view = ShardView(shard, self.settings.brpoplpush_timeout)
        self.views.append(view)
        return view

    def shedding(self, view: ShardView) -> Shedding:
        """When alerts of a shard are shed to the dead letters: the threshold is for all shards together."""
        settings = self.settings
        if settings.alerter_shed_mode != "dlq" or self.outage.lasts:
            return NO_SHEDDING
        return Shedding(settings.alerter_queue_shed_threshold, self._alert_depth() - view.alert_depth)

    def _backlog_is_gone(self) -> bool:
        """Asked of Redis: a process that has just begun, stood still or lost its connection knows no depths of now."""
        depth = sum(int(shard.client.llen(shard.keys.alert_queue)) for shard in self.shards)
        return depth < self.settings.alerter_queue_shed_threshold

    def _alert_depth(self) -> int:
        return sum(view.alert_depth for view in self.views)

    def decide(self, items: Sequence[bytes]) -> Batch:
        """What becomes of each item, by the rules of now."""
        rules = self.rules.current
        if rules is None:
            raise RuntimeError("events are claimed only after the rules were loaded")
        with self._deciding:
            return BatchProcessor(rules, self.settings.unhandled_default_team, self._hasher).process(items)

    def watch_depths(self, view: ShardView, claim: Claim) -> bool:
        """Report the depth of the alert queues; True if the alerter must defer."""
        view.seen(claim.alert_depth, claim.dead_depth, claim.ingest_depth)
        if claim.ingest_depth:
            self.bell.ring()
        settings = self.settings
        depth = self._tell_depths()
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
        mode: str = settings.alerter_shed_mode
        if shedding and mode == "dlq" and self.outage.lasts:
            # What an outage keeps waiting is not to be found among the dead letters after it.
            mode = (
                "defer" if depth >= settings.alerter_queue_outage_threshold else "none: an outage of Moogsoft"
            )
        words = f"{depth} alerts wait" + (f", mode {mode}" if shedding else "")
        self.child.health.set("alert_queue", not shedding, words if deep else "ok")
        return shedding and mode == "defer"

    def _tell_depths(self) -> int:
        depth = self._alert_depth()
        self.metrics.queue_depth.set(depth)
        self.metrics.dlq_depth.set(sum(view.dead_depth for view in self.views))
        return depth

    def settled(self, view: ShardView, batch: Batch, settled: Settled) -> None:
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
        view.seen(settled.alert_depth, settled.dead_depth)
        self._tell_depths()

    def redis_well(self, view: ShardView) -> None:
        """The Redis of a shard answered."""
        self.well(view.shard.component("redis"))
        if view.well():
            self.bell.ring(for_all=True)

    def redis_trouble(self, view: ShardView, error: RedisError) -> None:
        """It did not, or it takes nothing; it is asked again after a while."""
        view.failed()
        where = self.settings.redis_where
        text = trouble_of(where, error) if refusal_of(error) else f"{where}: {type(error).__name__}: {error}"
        self.trouble(view.shard.component("redis"), text)

    def well(self, component: str) -> None:
        """A store answered."""
        if self.child.health.set(component, True):
            log.info(f"{component} answers")

    def trouble(self, component: str, text: str) -> None:
        """A store did not, or our name is another's (`lease`); events wait where they are."""
        if self.child.health.set(component, False, text):
            what = "worker name is taken" if component == "lease" else f"{component} is away"
            log.error(f"{what}, events wait", error=text)
        self.metrics.events.labels(status="error").inc()

    def reload(self) -> None:
        """SIGHUP: passwords may be new, and the rules."""
        self.database.use_secrets(self.child.secrets)
        self.rules.reload()

    def close(self) -> None:
        """Close the connections."""
        for shard in self.shards:
            shard.client.close()
        self.database.close()
