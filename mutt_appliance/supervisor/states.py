"""The life of one supervised process as a pure state machine: times come in, actions come out."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from mutt_appliance.config import Settings
from mutt_appliance.config.faults import EXIT_CONFIG

# Time between SIGABRT, which writes every thread's stack, and SIGKILL.
ABORT_GRACE_SECS = 2.0
# A process that served this long before it ended is started again at once, and its failures are forgotten.
STABLE_AFTER_SECS = 5.0


class State(enum.IntEnum):
    """supervisord's process states, with the numbers it uses in its protocol."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200


ALIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})


class Action(enum.Enum):
    """What the owner of a machine must do to the process."""

    SPAWN = "spawn"
    STOP = "stop"
    ABORT = "abort"
    KILL = "kill"


@dataclass(frozen=True)
class Policy:
    """Times in seconds. A `one_shot` process is done when it exits with 0."""

    start_timeout: float
    liveness_timeout: float
    drain_timeout: float
    backoff_base: float
    backoff_max: float
    fatal_after: int
    fatal_retry: float
    one_shot: bool = False

    @classmethod
    def of(cls, settings: Settings, *, one_shot: bool = False) -> Policy:
        """The policy that the settings ask for."""
        return cls(
            start_timeout=settings.start_timeout,
            liveness_timeout=settings.liveness_timeout,
            drain_timeout=settings.drain_timeout,
            backoff_base=settings.restart_backoff_base,
            backoff_max=settings.restart_backoff_max,
            fatal_after=settings.restart_fatal_after,
            fatal_retry=settings.restart_fatal_retry,
            one_shot=one_shot,
        )

    def backoff(self, failures: int) -> float:
        """Delay before the next try after `failures` (1 or more) in a row."""
        # The exponent is bounded because 2.0**1100 is an error, not infinity.
        return min(self.backoff_max, self.backoff_base * 2.0 ** min(failures - 1, 64))


class Machine:
    """State of one process. `now` is a monotonic clock in seconds and never goes back.

    The owner spawns on SPAWN and signals on the other actions, and tells what happened: `ready`,
    `beat`, `exited` (only after the process was reaped; a failed spawn is an exit as well).
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state = State.STOPPED
        self.reason = ""
        self.since = 0.0
        self.wanted = False
        self.failures = 0
        self.failed_ever = False
        self._last_beat = 0.0
        self._served_since: float | None = None
        self._faulty = False
        self._deadline = math.inf

    @property
    def alive(self) -> bool:
        """True while there is a process that must be reaped."""
        return self.state in ALIVE

    @property
    def serves(self) -> bool:
        """True when the process does its work, or has done all of it."""
        return self.state in (State.RUNNING, State.EXITED)

    @property
    def deadline(self) -> float:
        """Time at which `tick` has something to do at the earliest; infinity for never."""
        if self.state is State.STARTING:
            return self._last_beat + self.policy.start_timeout
        if self.state is State.RUNNING:
            return self._last_beat + self.policy.liveness_timeout
        if self.state is State.STOPPED:
            return self.since if self.wanted else math.inf
        if self.state in (State.BACKOFF, State.FATAL, State.STOPPING):
            return self._deadline
        return math.inf

    def start(self, now: float) -> Action | None:
        """The process shall run from now on."""
        self.wanted = True
        if self.state in (State.STOPPED, State.EXITED, State.BACKOFF, State.FATAL):
            self.failures = 0
            return self._spawn(now, "start wanted")
        return None

    def stop(self, now: float) -> Action | None:
        """The process shall not run from now on."""
        self.wanted = False
        if self.state in (State.STARTING, State.RUNNING):
            self._faulty = False
            self._enter(State.STOPPING, now, "stop wanted", now + self.policy.drain_timeout)
            return Action.STOP
        if self.state in (State.BACKOFF, State.FATAL):
            self._enter(State.STOPPED, now, "stop wanted")
        return None

    def kill(self, now: float) -> Action | None:
        """The process shall be gone at once."""
        self.wanted = False
        if not self.alive:
            self.stop(now)
            return None
        if self.state is not State.STOPPING:
            self._enter(State.STOPPING, now, "kill wanted")
        self._deadline = now + ABORT_GRACE_SECS
        return Action.KILL

    def ready(self, now: float) -> None:
        """The process says that it serves."""
        self._last_beat = now
        if self.state is State.STARTING:
            self._served_since = now
            self._enter(State.RUNNING, now, "serves")

    def beat(self, now: float) -> None:
        """The process gave a sign of life; while it starts, that also gives it more time."""
        self._last_beat = now

    def exited(self, now: float, code: int | None, trouble: str = "") -> None:
        """The process is gone: exit code, minus the signal number, or None when `trouble` kept it from starting."""
        if not self.alive:
            return
        ending = describe_exit(code) + (f": {trouble}" if trouble else "")
        if self.state is State.STOPPING and not self._faulty:
            self._enter(State.STOPPED, now, ending)
        elif self.policy.one_shot and code == 0:
            self.failures = 0
            self._enter(State.EXITED, now, "done")
        else:
            self._failed(now, code, f"{self.reason}; {ending}" if self._faulty else ending)
        self._faulty = False

    def tick(self, now: float) -> Action | None:
        """Look at the clock; to be called at `deadline`, or more often."""
        if now < self.deadline:
            return None
        if self.state is State.STARTING:
            return self._give_up(now, f"neither served nor beat for {self.policy.start_timeout:g} s")
        if self.state is State.RUNNING:
            return self._give_up(now, f"no beat for {self.policy.liveness_timeout:g} s")
        if self.state is State.STOPPING:
            self._deadline = now + ABORT_GRACE_SECS
            return Action.KILL
        return self._spawn(now, "start wanted" if self.state is State.STOPPED else "next try")

    def _spawn(self, now: float, reason: str) -> Action:
        self._last_beat = now
        self._served_since = None
        self._enter(State.STARTING, now, reason)
        return Action.SPAWN

    def _give_up(self, now: float, reason: str) -> Action:
        self._faulty = True
        self._enter(State.STOPPING, now, reason, now + ABORT_GRACE_SECS)
        return Action.ABORT

    def _failed(self, now: float, code: int | None, reason: str) -> None:
        self.failed_ever = True
        if not self.wanted:
            self._enter(State.STOPPED, now, reason)
            return
        if self._served_since is not None and now - self._served_since >= STABLE_AFTER_SECS:
            self.failures = 0
            self._enter(State.BACKOFF, now, f"{reason}; starting again at once", now)
            return
        self.failures += 1
        if code == EXIT_CONFIG or self.failures >= self.policy.fatal_after:
            delay = self.policy.fatal_retry
            self._enter(State.FATAL, now, f"{reason}; next try in {delay:g} s", now + delay)
        else:
            delay = self.policy.backoff(self.failures)
            self._enter(State.BACKOFF, now, f"{reason}; next try in {delay:g} s", now + delay)

    def _enter(self, state: State, now: float, reason: str, deadline: float = math.inf) -> None:
        self.state = state
        self.since = now
        self.reason = reason
        self._deadline = deadline


def describe_exit(code: int | None) -> str:
    """Words for an exit code as `subprocess` gives it."""
    if code is None:
        return "could not be started"
    if code < 0:
        return f"ended by signal {-code}"
    if code == EXIT_CONFIG:
        return f"exit code {code} (configuration)"
    return f"exit code {code}"
