"""The circuit breaker of this forwarder: what it knows of the circuit that all forwarders share, and tells of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.retry import Verdict
from mutt_appliance.process import Child
from mutt_appliance.queueing.circuit import CLOSED, Circuit, CircuitState, Failed, ProbePolicy
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import ForwarderMetrics

log = get_logger("forwarder.circuit")
# So long after one forwarder opened or closed the circuit another may not know.
LOOK_SECS = 0.5


def probe_policy(settings: Settings) -> ProbePolicy:
    """The policy of the settings."""
    return ProbePolicy(
        settings.moog_circuit_failures,
        round(settings.moog_circuit_probe_interval * 1000),
        round(settings.moog_circuit_probe_max_interval * 1000),
    )


class Breaker:
    """Looks at the circuit twice a second, and counts what requests came to. Without Redis it stays as it was."""

    def __init__(
        self,
        child: Child,
        live: LiveSettings,
        circuit: Circuit,
        metrics: ForwarderMetrics,
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called when the circuit was opened or closed, by whomever."""
        self._child = child
        self._live = live
        self._circuit = circuit
        self._metrics = metrics
        self._on_change = on_change
        self._worked_at: float | None = None
        self._worked_since_failure = False
        self._look_now = asyncio.Event()
        self.state = CLOSED
        self._tell()

    @property
    def open(self) -> bool:
        """True while nothing but probes may go out."""
        return self.state.open and self._live.current.moog_circuit_failures > 0

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            self._look_now.clear()
            try:
                await self.look()
            except RedisError as error:
                # The lane of home meets the same trouble and reports it.
                log.debug("circuit not looked at", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECS):
                    await self._look_now.wait()

    async def look(self) -> None:
        """See how the circuit is. Raises RedisError."""
        ago = None if self._worked_at is None else int((time.monotonic() - self._worked_at) * 1000)
        state = await self._circuit.look(ago)
        if state.open and not self._live.current.moog_circuit_failures:
            log.warning("circuit closed: MOOG_CIRCUIT_FAILURES=0")
            await self._circuit.close(state.opened_at)
            state = CLOSED
        self._take(state)

    def worked(self) -> None:
        """A request succeeded, or Moogsoft refused one alert: it is there."""
        self._worked_at = time.monotonic()
        self._worked_since_failure = True
        if self.state.failures and not self.state.open:
            self._look_now.set()

    async def failed(self, verdict: Verdict, *, probe: bool) -> Failed:
        """Count a request that failed as in an outage."""
        # Many end at the same time, in an order that only this process knows.
        first, self._worked_since_failure = self._worked_since_failure, False
        try:
            failed = await self._circuit.failed(
                probe_policy(self._live.current), verdict.reason, probe=probe, first=first
            )
            if failed.opens:
                self._metrics.circuit_opened.inc()
            await self.look()
        except RedisError as error:
            self._worked_since_failure |= first
            log.debug("failure not counted", error=str(error))
            return Failed(self.open, 0, opens=False)
        return Failed(self.open, failed.row, failed.opens)

    async def may_probe(self) -> bool:
        """True if a probe is due, and this forwarder is to send it."""
        try:
            return await self._circuit.may_probe(probe_policy(self._live.current).longest_ms)
        except RedisError as error:
            log.debug("no probe", error=str(error))
            return False

    async def close(self) -> None:
        """A probe was answered."""
        try:
            await self._circuit.close(self.state.opened_at)
            await self.look()
        except RedisError as error:
            # It stays open: the next probe closes it.
            log.debug("circuit not closed", error=str(error))

    def _take(self, state: CircuitState) -> None:
        before, self.state = self.state, state
        if before.opened_at == state.opened_at:
            return
        if state.open:
            log.error(
                "circuit opened: Moogsoft is away, alerts wait", reason=state.reason, failures=state.failures
            )
        else:
            away_secs = round(time.time() - before.opened_at / 1000, 1)
            log.info("circuit closed: Moogsoft is back", away_secs=away_secs)
        self._tell()
        self._on_change()

    def _tell(self) -> None:
        state = self.state
        self._metrics.circuit_state.set(state.open)
        since = datetime.fromtimestamp(state.opened_at / 1000, UTC).isoformat(timespec="seconds")
        self._child.health.fact(
            "circuit",
            {"state": "open", "since": since, "reason": state.reason} if state.open else {"state": "closed"},
        )
