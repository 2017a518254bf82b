"""What waits in each shard, added up for the metrics and the health board."""

from __future__ import annotations

from dataclasses import dataclass

from mutt_appliance.process import Child
from mutt_appliance.queueing.alerts import AlertClaim
from mutt_appliance.telemetry.metrics import ForwarderMetrics


@dataclass
class _Depths:
    queue: int = 0
    retry: int = 0
    dead: int = 0
    held: int = 0


class DepthBoard:
    """The depths of all shards as each was last seen."""

    def __init__(self, child: Child, metrics: ForwarderMetrics) -> None:
        self._child = child
        self._metrics = metrics
        self._of_shard: dict[int, _Depths] = {}

    def claimed(self, shard: int, claim: AlertClaim, held: int) -> None:
        """What a claim saw."""
        self._of_shard[shard] = _Depths(claim.queue_depth, claim.retry_depth, claim.dead_depth, held)
        self._tell()

    def settled(self, shard: int, dead_depth: int, held: int) -> None:
        """What a settlement saw."""
        depths = self._of_shard.setdefault(shard, _Depths())
        depths.dead, depths.held = dead_depth, held
        self._tell()

    def _tell(self) -> None:
        depths = self._of_shard.values()
        self._metrics.retry_depth.set(sum(each.retry for each in depths))
        self._metrics.dlq_depth.set(sum(each.dead for each in depths))
        self._metrics.processing_depth.set(sum(each.held for each in depths))
        self._child.health.fact("alert_queue_depth", sum(each.queue for each in depths))
        self._child.health.fact("retry_depth", sum(each.retry for each in depths))
