"""Whether an outage of Moogsoft keeps alerts from being shed to the dead letters."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mutt_appliance.queueing.circuit import caught_up, read_circuit
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.shards import BlockingShard
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("alerter.outage")
LOOK_SECS = 0.5


class OutageWatch:
    """Looks at the circuit in a thread of its own; `lasts` from its opening until the backlog is gone."""

    def __init__(
        self, home: BlockingShard, stopping: threading.Event, worked_off: Callable[[], bool]
    ) -> None:
        """`worked_off` looks whether the alert queue is as shallow as it should be; it may raise RedisError."""
        self._home = home
        self._stopping = stopping
        self._worked_off = worked_off
        self.lasts = False

    def start(self) -> None:
        """Begin, in a daemon thread."""
        threading.Thread(target=self._loop, name="outage", daemon=True).start()

    def _loop(self) -> None:
        while True:
            try:
                self.look()
            except RedisError as error:
                # The workers meet the same trouble and report it.
                log.debug("no look for an outage", error=str(error))
            if self._stopping.wait(LOOK_SECS):
                return

    def look(self) -> None:
        """Look once. Raises RedisError."""
        state = read_circuit(self._home.client, self._home.keys)
        if state.backlog and not state.open and self._worked_off():
            caught_up(self._home.client, self._home.keys)
            return
        if state.backlog != self.lasts:
            self.lasts = state.backlog
            if self.lasts:
                log.warning("outage of Moogsoft: alerts are not shed until its backlog is gone")
            else:
                log.info("backlog of the outage is gone: alerts are shed again if there are too many")
