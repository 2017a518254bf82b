"""The workers of an alerter process and the shards they serve."""

from __future__ import annotations

import threading

from mutt_appliance.alerter.shared import Shared
from mutt_appliance.alerter.upkeep import Upkeep
from mutt_appliance.alerter.worker import Worker
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.shards import LOOK_SECS, BlockingShard, forget_if_over, known_shards
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("alerter.crew")


class Crew:
    """All workers serve all shards: those of the configuration, and what is left of those before it."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._watched = 0
        self.workers = [Worker(shared, number) for number in range(shared.settings.alerter_batches_at_once)]
        for shard in shared.shards:
            self._serve(shard)

    def start(self) -> None:
        """Begin to work."""
        threading.Thread(target=self._look_for_more, name="shards", daemon=True).start()
        for worker in self.workers:
            worker.thread.start()

    def _serve(self, shard: BlockingShard) -> None:
        shared = self._shared
        view = shared.view(shard)
        seats = [worker.take_seat(view) for worker in self.workers]
        Upkeep(shared, view, [seat.queue for seat in seats]).start()
        # A worker with one seat waits in Redis itself.
        if len(shared.views) > 1:
            for unwatched in shared.views[self._watched :]:
                shared.bell.watch(unwatched)
            self._watched = len(shared.views)

    def _look_for_more(self) -> None:
        """Serve shards that are known at home and in the configuration no more, until they are empty."""
        shared = self._shared
        configured = len(shared.shards)
        while not shared.child.stopping.is_set():
            try:
                for shard in shared.shards.add(known_shards(shared.shards.home)):
                    log.warning("serving a shard beyond REDIS_SHARDS until it is empty", shard=shard.number)
                    self._serve(shard)
                for shard in tuple(shared.shards)[configured:]:
                    if forget_if_over(shared.shards.home, shard):
                        log.info("shard beyond REDIS_SHARDS is empty and forgotten", shard=shard.number)
            except RedisError as error:
                # The workers meet the same trouble and report it.
                log.debug("no look for shards", error=str(error))
            shared.child.stopping.wait(LOOK_SECS)
