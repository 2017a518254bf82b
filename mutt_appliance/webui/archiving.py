"""Keeps the dead letter queues within their size: what is too much goes to files."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mutt_appliance.process import Child
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.dead_letters import QUEUES, QueueName
from mutt_appliance.queueing.letter_archive import archive
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import ArchiveMetrics
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.archiving")
LOOK_SECS = 5.0


class Archiving:
    """Looks every few seconds, in the web UI of each appliance; one of them at a time does it."""

    def __init__(self, child: Child, stores: Stores) -> None:
        self._child = child
        self._stores = stores
        self._metrics = ArchiveMetrics(QUEUES)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECS)

    async def look(self) -> None:
        """Archive what is too much; what cannot be written stays where it is, and is said."""
        shards, settings = self._stores.shards, self._stores.settings
        try:
            await archive(shards.home, shards, settings, self._archived)
        except RedisError as error:
            # The probe of the stores meets the same trouble and reports it.
            log.debug("dead letters not archived", error=str(error))
        except OSError as error:
            self._metrics.failures.inc()
            trouble = f"{error.filename or settings.dead_letter_archive}: {error.strerror or error}"
            if self._child.health.set("dlq_archive", False, trouble):
                log.error("dead letters cannot be archived and stay in Redis", error=trouble)
        else:
            self._child.health.set("dlq_archive", True)

    def _archived(self, queue: QueueName, letters: int, path: Path) -> None:
        self._metrics.letters.labels(queue=queue).inc(letters)
        log.warning(
            "dead letters archived: there were too many", queue=queue, letters=letters, file=str(path)
        )
