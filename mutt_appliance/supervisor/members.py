"""A supervised process with its state machine: what is common to workers and server programs."""

from __future__ import annotations

import math
import selectors
import signal
import time
from typing import Any

from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.supervisor.order import Standing
from mutt_appliance.supervisor.processes import Process
from mutt_appliance.supervisor.states import Action, Machine, Policy, State
from mutt_appliance.telemetry.logs import get_logger

WORTH_A_WARNING = (State.BACKOFF, State.FATAL)


class Member:
    """One line of the supervisor's table. Subclasses know how to start their process and hear from it.

    `held`: an operator stopped it, so nothing but an operator starts it. `retiring`: it leaves the table
    when its process is gone. `started_at` and `stopped_at` are seconds since the epoch, 0 for never;
    `exit_code` is as from `Process.poll`.
    """

    signals: dict[Action, signal.Signals] = {  # noqa: RUF012
        Action.STOP: signal.SIGTERM,
        Action.ABORT: signal.SIGABRT,
        Action.KILL: signal.SIGKILL,
    }

    def __init__(
        self,
        name: str,
        level: int,
        policy: Policy,
        selector: selectors.BaseSelector,
        log_file: LogFile,
        patience_secs: float = math.inf,
    ) -> None:
        self.name = name
        self.level = level
        self.machine = Machine(policy)
        self.process: Process | None = None
        self.reports: dict[str, dict[str, Any]] = {}
        self.log_file = log_file
        self.held = False
        self.retiring = False
        self.spawns = 0
        self.started_at = 0.0
        self.stopped_at = 0.0
        self.exit_code = 0
        self._selector = selector
        self._patience_secs = patience_secs
        self._first_start: float | None = None
        self._logged = (State.STOPPED, 0.0)
        self._log = get_logger("supervisor.members")

    @property
    def pid(self) -> int | None:
        """Process id while there is a process."""
        return self.process.pid if self.process is not None else None

    def standing(self, now: float) -> Standing:
        """How far those of higher levels must wait for this one."""
        return Standing(
            level=self.level,
            # What an operator stopped is not waited for.
            serves=self.machine.serves or self.held,
            failed_ever=self.machine.failed_ever,
            waited_secs=None if self._first_start is None else now - self._first_start,
            patience_secs=self._patience_secs,
        )

    def deadline(self) -> float:
        """Time at which `turn` has something to do at the latest."""
        return self.machine.deadline

    def start(self, now: float) -> None:
        """The process shall run."""
        if self._first_start is None:
            self._first_start = now
        self._do(self.machine.start(now), now)

    def stop(self, now: float) -> None:
        """The process shall end in its orderly way."""
        self._do(self.machine.stop(now), now)

    def kill(self, now: float) -> None:
        """The process shall be gone."""
        self._do(self.machine.kill(now), now)

    def reload(self, number: int) -> None:
        """SIGHUP for reload `number`, for those that read something again."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal as it is; raises ProcessLookupError when there is no process."""
        if self.process is None:
            raise ProcessLookupError(self.name)
        self.process.send(number)

    def turn(self, now: float) -> None:
        """Reap, look at the clock, act."""
        if self.process is not None:
            code = self.process.poll()
            if code is not None:
                self._gone(now, code)
        self._do(self.machine.tick(now), now)

    def _spawn(self, now: float) -> Process:
        """Start the process; raises OSError or ProgramError with a reason."""
        raise NotImplementedError

    def _after_exit(self, code: int) -> None:
        """Take back what belonged to the process; `code` as from `Process.poll`."""

    def _facts(self) -> dict[str, Any]:
        """More for the log line of a failure."""
        return {}

    def _do(self, action: Action | None, now: float) -> None:
        if action is Action.SPAWN:
            self._log_change()
            self._try_to_spawn(now)
        elif action is not None and self.process is not None:
            self._log_change()
            self.process.send(self.signals[action])
        self._log_change()

    def _try_to_spawn(self, now: float) -> None:
        try:
            # An empty log is found by those who ask for it; none would look like a wrong name.
            self.log_file.write(b"")
            self.process = self._spawn(now)
            self.spawns += 1
            self.started_at = time.time()
        # Whatever keeps a process from starting (no memory, no descriptors, a lock) is tried again later.
        except Exception as error:  # noqa: BLE001
            self._log.warning("process could not be started", child=self.name, error=str(error))
            self.process = None
            self.machine.exited(now, None, str(error))

    def _gone(self, now: float, code: int) -> None:
        self.process = None
        self.stopped_at = time.time()
        self.exit_code = code
        self.reports.clear()
        try:
            self._after_exit(code)
        except OSError as error:
            self._log.error("the end of a process could not be completed", child=self.name, error=str(error))
            code = 1
        self.machine.exited(now, code)
        self._log_change()

    def _log_change(self) -> None:
        machine = self.machine
        if self._logged == (machine.state, machine.since):
            return
        self._logged = (machine.state, machine.since)
        facts: dict[str, Any] = {"child": self.name, "state": machine.state.name, "reason": machine.reason}
        if self.pid is not None:
            facts["pid"] = self.pid
        if machine.state in WORTH_A_WARNING:
            self._log.warning("process state", failures=machine.failures, **facts, **self._facts())
        elif machine.state is State.STOPPING and machine.wanted:
            self._log.error("process state", **facts)
        else:
            self._log.info("process state", **facts)
