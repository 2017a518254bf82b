"""The alerter process: rules and upkeep in the background, workers, and a main thread that watches them."""

from __future__ import annotations

import time

from mutt_appliance.alerter.crew import Crew
from mutt_appliance.alerter.shared import Shared
from mutt_appliance.alerter.worker import Worker
from mutt_appliance.process import Child, look_less_for_cycles
from mutt_appliance.store.connecting import longest_wait_secs
from mutt_appliance.store.maintenance import start_maintenance_thread
from mutt_appliance.telemetry.disks import DiskWatch
from mutt_appliance.telemetry.endpoints import serve_endpoints_in_thread
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics, TlsMetrics
from mutt_appliance.tls.inventory import StoreFiles
from mutt_appliance.tls.watch import CertificateWatch

log = get_logger("alerter")
TICK_SECS = 0.25


def run(child: Child) -> None:
    """Work until SIGTERM; the batches in hand are settled first."""
    metrics = AlerterMetrics()
    serve_endpoints_in_thread(
        child.settings.mutt_runtime_dir, child.spec.role, child.sockets["metrics"], child.sockets["health"]
    )
    shared = Shared(child, metrics)
    start_maintenance_thread(child, shared.database, metrics)
    DiskWatch(child.settings, metrics).start(child.stopping)
    shared.rules.start()
    # The interval of the rules may have become shorter.
    shared.live.start(child.stopping, {"rules": shared.rules.refresh, "config": shared.rules.refresh})
    shared.outage.start()
    crew = Crew(shared)
    look_less_for_cycles()
    crew.start()
    child.ready()
    _watch(child, shared, crew.workers)
    for worker in crew.workers:
        worker.thread.join()
    shared.close()


def _watch(child: Child, shared: Shared, workers: list[Worker]) -> None:
    """Beat for as long as every worker turns; one that hangs must be seen from outside."""
    # A wait for the database ends by itself; to be killed in it would only cost the batch a life.
    patience_secs = max(child.settings.liveness_timeout / 2, longest_wait_secs(child.settings) + TICK_SECS)
    # Every role uses these; one tells of them.
    certificates = CertificateWatch(child, StoreFiles(child.settings), TlsMetrics())
    while not child.stopping.wait(TICK_SECS):
        if child.reloading.is_set():
            child.reloading.clear()
            shared.reload()
        certificates.turn()
        dead = [worker.thread.name for worker in workers if not worker.thread.is_alive()]
        if dead:
            raise RuntimeError(f"{', '.join(dead)} ended by an error (its traceback is above)")
        shared.metrics.processing_depth.set(sum(worker.held for worker in workers))
        oldest = min(worker.last_turn for worker in workers)
        if time.monotonic() - oldest < patience_secs:
            child.beat()
