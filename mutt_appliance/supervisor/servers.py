"""Members that are server programs: they are asked whether they serve, and their output is logged."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.supervisor.members import Member
from mutt_appliance.supervisor.output import OutputReader
from mutt_appliance.supervisor.probes import Probe, Question, Verdict
from mutt_appliance.supervisor.processes import Process, ProgramProcess
from mutt_appliance.supervisor.programs import RunAs
from mutt_appliance.supervisor.states import Action, Policy, State

PROBE_WHILE_STARTING_SECS = 0.1
PROBE_WHILE_RUNNING_MAX_SECS = 5.0
# A probe is lost now and then on a busy machine: silence is several of them in a row.
PROBES_PER_LIVENESS_TIMEOUT = 5


@dataclass(frozen=True)
class Program:
    """A server program: how to start, ask and stop it.

    `prepare` runs before each start and may refuse it with ProgramError; the descriptors it returns
    are inherited by the program and closed here. `finish` runs when a one-shot program exits with 0.
    """

    arguments: Sequence[str | Path]
    user: RunAs
    folder: Path
    question: Question | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    abort_signal: signal.Signals = signal.SIGABRT
    prepare: Callable[[], list[int]] = list
    finish: Callable[[], None] = lambda: None


class ProgramMember(Member):
    """A server of embedded mode, or a program that prepares one."""

    def __init__(
        self,
        name: str,
        level: int,
        policy: Policy,
        selector: selectors.BaseSelector,
        log_file: LogFile,
        program: Program,
    ) -> None:
        super().__init__(name, level, policy, selector, log_file)
        self.signals = {
            Action.STOP: program.stop_signal,
            Action.ABORT: program.abort_signal,
            Action.KILL: signal.SIGKILL,
        }
        self._program = program
        self._output = OutputReader(name, log_file)
        self._running: ProgramProcess | None = None
        self._probe = (
            Probe(program.question, selector, self._answered) if program.question is not None else None
        )

    def turn(self, now: float) -> None:
        """As every member, and ask the server whether it serves."""
        super().turn(now)
        if self._probe is not None and self.machine.state in (State.STARTING, State.RUNNING):
            self._probe.turn(now, self._probe_interval())

    def deadline(self) -> float:
        """Time at which `turn` has something to do at the latest."""
        deadline = super().deadline()
        if self._probe is not None and self.machine.state in (State.STARTING, State.RUNNING):
            return min(deadline, self._probe.deadline)
        return deadline

    def _probe_interval(self) -> float:
        if self.machine.state is State.STARTING:
            return PROBE_WHILE_STARTING_SECS
        return min(
            PROBE_WHILE_RUNNING_MAX_SECS, self.machine.policy.liveness_timeout / PROBES_PER_LIVENESS_TIMEOUT
        )

    def _answered(self, verdict: Verdict) -> None:
        now = time.monotonic()
        if verdict is Verdict.SERVES and self.machine.state is State.STARTING:
            self.machine.ready(now)
            self._log_change()
        self.machine.beat(now)

    def _spawn(self, now: float) -> Process:
        descriptors = self._program.prepare()
        try:
            self._running = ProgramProcess(
                self._program.arguments,
                user=self._program.user,
                folder=self._program.folder,
                death_signal=self._program.stop_signal,
                keep_open=descriptors,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._output = OutputReader(self.name, self.log_file)
        self._selector.register(self._running.output, selectors.EVENT_READ, self._read_output)
        return self._running

    def _after_exit(self, code: int) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe.next_at = 0.0
        # Processes that the program left behind may hold its output open: what is there is enough.
        self._read_output()
        self._close_output()
        if code == 0 and self.machine.policy.one_shot:
            self._program.finish()

    def _facts(self) -> dict[str, Any]:
        lines = list(self._output.last_lines)
        return {"last_output": lines} if lines else {}

    def _read_output(self) -> None:
        if self._running is not None and not self._output.read(self._running.output.fileno()):
            self._close_output()

    def _close_output(self) -> None:
        if self._running is not None:
            self._selector.unregister(self._running.output)
            self._running.output.close()
            self._running = None
