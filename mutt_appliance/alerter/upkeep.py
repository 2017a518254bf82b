"""What must go on at each shard while the workers are busy: their leases, and the janitor's rounds."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from mutt_appliance.alerter.shard_view import ShardView
from mutt_appliance.alerter.shared import Shared
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.events import EventQueue
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("alerter.upkeep")
JANITOR_INTERVAL_SECS = 5.0


class Upkeep:
    """Renews the leases at one shard every ALERTER_HEARTBEAT_INTERVAL and gives back what dead workers held.

    Each shard has its own, so that one that does not answer costs no lease at another.
    """

    def __init__(self, shared: Shared, view: ShardView, queues: Sequence[EventQueue]) -> None:
        """`queues` are those of the workers' leases at this shard."""
        self._shared = shared
        settings = shared.settings
        self._interval = min(settings.alerter_heartbeat_interval, settings.alerter_janitor_timeout / 3)
        self._janitor_interval = min(JANITOR_INTERVAL_SECS, settings.alerter_janitor_timeout)
        self._name = f"upkeep-{view.shard.number}"
        self._queues = queues

    def start(self) -> None:
        """Begin, in a daemon thread."""
        threading.Thread(target=self._loop, name=self._name, daemon=True).start()

    def _loop(self) -> None:
        step = min(self._interval, self._janitor_interval)
        since_janitor = self._janitor_interval
        adopted = False
        while not self._shared.child.stopping.is_set():
            try:
                for queue in self._queues:
                    queue.renew()
                if not adopted:
                    self._queues[0].adopt_unknown_lists()
                    adopted = True
                if since_janitor >= self._janitor_interval:
                    since_janitor = 0.0
                    self._janitor()
            except RedisError as error:
                # The workers meet the same trouble and report it; here only the next turn matters.
                log.debug("upkeep put off", error=str(error))
            self._shared.child.stopping.wait(step)
            since_janitor += step

    def _janitor(self) -> None:
        count = self._queues[0].dead_workers_recovered()
        if count:
            self._shared.metrics.recovered.inc(count)
            log.warning("recovered events of workers that are gone", events=count)
