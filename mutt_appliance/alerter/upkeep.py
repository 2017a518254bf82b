"""What must go on while the worker is busy with a batch: its lease, and the janitor's rounds."""

from __future__ import annotations

import threading

from mutt_appliance.process import Child
from mutt_appliance.queueing.client import RedisError, blocking_client
from mutt_appliance.queueing.events import EventQueue
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import Lease
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics

log = get_logger("alerter.upkeep")
JANITOR_INTERVAL_SECS = 5.0


class Upkeep:
    """Renews the lease every ALERTER_HEARTBEAT_INTERVAL and gives back what dead workers held."""

    def __init__(self, child: Child, lease: Lease, metrics: AlerterMetrics) -> None:
        self._child = child
        self._metrics = metrics
        settings = child.settings
        self._interval = min(settings.alerter_heartbeat_interval, settings.alerter_janitor_timeout / 3)
        self._client = blocking_client(settings, child.secrets, f"{child.name}-upkeep")
        self._queue = EventQueue(self._client, KeySpace(settings), lease)

    def start(self) -> None:
        """Begin, in a daemon thread."""
        threading.Thread(target=self._loop, name="upkeep", daemon=True).start()

    def _loop(self) -> None:
        step = min(self._interval, JANITOR_INTERVAL_SECS)
        since_janitor = JANITOR_INTERVAL_SECS
        adopted = False
        while not self._child.stopping.is_set():
            try:
                self._queue.renew()
                if not adopted:
                    self._queue.adopt_unknown_lists()
                    adopted = True
                if since_janitor >= min(JANITOR_INTERVAL_SECS, self._child.settings.alerter_janitor_timeout):
                    since_janitor = 0.0
                    self._janitor()
            except RedisError:
                # The worker meets the same trouble and reports it; here only the next turn matters.
                pass
            self._child.stopping.wait(step)
            since_janitor += step

    def _janitor(self) -> None:
        count = self._queue.dead_workers_recovered()
        if count:
            self._metrics.recovered.inc(count)
            log.warning("recovered events of workers that are gone", events=count)
