"""The state machine, without processes."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mutt_appliance.config.faults import EXIT_CONFIG
from mutt_appliance.supervisor.states import (
    ABORT_GRACE_SECS,
    STABLE_AFTER_SECS,
    Action,
    Machine,
    Policy,
    State,
)

POLICY = Policy(
    start_timeout=60,
    liveness_timeout=30,
    drain_timeout=20,
    backoff_base=0.25,
    backoff_max=15,
    fatal_after=4,
    fatal_retry=60,
)
ONE_SHOT = Policy(60, 30, 20, 0.25, 15, 4, 60, one_shot=True)


def running(policy: Policy = POLICY, now: float = 0.0) -> Machine:
    """A machine whose process serves since `now`."""
    machine = Machine(policy)
    assert machine.start(now) is Action.SPAWN
    machine.ready(now)
    return machine


def state_of(machine: Machine) -> State:
    """The state, which a type checker would otherwise take for unchanged since the last look."""
    return machine.state


def test_the_numbers_are_those_of_supervisord() -> None:
    assert {state.name: int(state) for state in State} == {
        "STOPPED": 0,
        "STARTING": 10,
        "RUNNING": 20,
        "BACKOFF": 30,
        "STOPPING": 40,
        "EXITED": 100,
        "FATAL": 200,
    }


def test_delays_double_up_to_the_longest() -> None:
    assert [POLICY.backoff(n) for n in (1, 2, 3, 6, 7, 8, 5000)] == [0.25, 0.5, 1, 8, 15, 15, 15]


def test_a_failed_start_is_tried_again_after_the_backoff_and_not_before() -> None:
    machine = Machine(POLICY)
    machine.start(0)
    machine.exited(1, 1)
    assert state_of(machine) is State.BACKOFF
    assert machine.tick(1.24) is None
    assert machine.tick(1.25) is Action.SPAWN
    assert machine.state is State.STARTING


def test_what_keeps_a_process_from_starting_is_in_the_reason() -> None:
    machine = Machine(POLICY)
    machine.start(0)
    machine.exited(1, None, "postgres.lock: is held")
    assert machine.reason == "could not be started: postgres.lock: is held; next try in 0.25 s"


def test_failures_in_a_row_make_it_fatal_and_it_is_still_tried_again() -> None:
    machine = Machine(POLICY)
    machine.start(0)
    now = 0.0
    for _ in range(POLICY.fatal_after - 1):
        machine.exited(now, 1)
        assert machine.state is State.BACKOFF
        now = machine.deadline
        assert machine.tick(now) is Action.SPAWN
    machine.exited(now, 1)
    assert machine.state is State.FATAL
    assert machine.deadline == now + POLICY.fatal_retry
    assert machine.tick(now + POLICY.fatal_retry) is Action.SPAWN
    machine.exited(now + POLICY.fatal_retry, 1)
    assert machine.state is State.FATAL


def test_a_configuration_fault_is_fatal_at_once() -> None:
    machine = Machine(POLICY)
    machine.start(0)
    machine.exited(0, EXIT_CONFIG)
    assert machine.state is State.FATAL


def test_a_process_that_served_for_a_while_starts_again_at_once_with_its_failures_forgotten() -> None:
    machine = Machine(POLICY)
    machine.start(0)
    machine.exited(0, 1)
    machine.tick(0.25)
    machine.ready(1)
    machine.exited(1 + STABLE_AFTER_SECS, -9)
    assert machine.failures == 0
    assert machine.tick(1 + STABLE_AFTER_SECS) is Action.SPAWN


def test_a_process_that_served_only_for_a_moment_has_failed() -> None:
    machine = running()
    machine.exited(STABLE_AFTER_SECS - 0.1, 1)
    assert machine.failures == 1
    assert machine.tick(STABLE_AFTER_SECS) is None


def test_silence_brings_abort_then_kill_then_a_new_start() -> None:
    machine = running()
    machine.beat(10)
    assert machine.tick(39.9) is None
    assert machine.tick(40) is Action.ABORT
    assert state_of(machine) is State.STOPPING
    assert machine.tick(40 + ABORT_GRACE_SECS - 0.1) is None
    assert machine.tick(40 + ABORT_GRACE_SECS) is Action.KILL
    assert machine.tick(40 + 2 * ABORT_GRACE_SECS) is Action.KILL
    machine.exited(45, -9)
    assert state_of(machine) is State.BACKOFF
    assert "no beat for 30 s" in machine.reason


def test_beats_while_starting_give_it_more_time() -> None:
    machine = Machine(POLICY)
    machine.start(0)
    machine.beat(50)
    assert machine.tick(109) is None
    assert machine.tick(110) is Action.ABORT


def test_stop_is_polite_until_the_drain_time_is_over() -> None:
    machine = running()
    assert machine.stop(5) is Action.STOP
    assert machine.tick(24.9) is None
    assert machine.tick(25) is Action.KILL
    machine.exited(25, -9)
    assert machine.state is State.STOPPED
    assert machine.tick(1e9) is None


def test_stop_during_an_abort_does_not_start_it_again() -> None:
    machine = running()
    machine.tick(30)
    assert machine.stop(31) is None
    machine.exited(32, -6)
    assert machine.state is State.STOPPED


@pytest.mark.parametrize("codes", [[1], [1, 1, 1, 1]])
def test_stop_in_backoff_and_in_fatal_needs_no_signal(codes: list[int]) -> None:
    machine = Machine(POLICY)
    machine.start(0)
    for code in codes:
        machine.exited(machine.since, code)
        machine.tick(machine.deadline)
    machine.exited(machine.since, 1)
    assert machine.stop(machine.since) is None
    assert machine.state is State.STOPPED


def test_start_while_it_stops_starts_it_when_it_is_gone() -> None:
    machine = running()
    machine.stop(5)
    assert machine.start(6) is None
    machine.exited(7, 0)
    assert machine.tick(7) is Action.SPAWN


def test_a_one_shot_process_is_done_with_exit_code_0() -> None:
    machine = Machine(ONE_SHOT)
    machine.start(0)
    machine.exited(3, 0)
    assert machine.state is State.EXITED
    assert machine.serves
    assert machine.tick(1e9) is None


def test_a_one_shot_process_that_fails_is_tried_again() -> None:
    machine = running(ONE_SHOT)
    machine.exited(1, 2)
    assert machine.state is State.BACKOFF
    assert machine.failed_ever


class AnyLife(RuleBasedStateMachine):
    """Whatever happens in whatever order: one process at most, and a wanted one always comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(POLICY)
        self.now = 0.0
        self.process = False

    def _obey(self, action: Action | None) -> None:
        if action is Action.SPAWN:
            assert not self.process, "a second process beside the first"
            self.process = True
        elif action is not None:
            assert self.process, f"{action} without a process"

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self._obey(self.machine.tick(self.now))

    @rule()
    def start(self) -> None:
        self._obey(self.machine.start(self.now))

    @rule()
    def stop(self) -> None:
        self._obey(self.machine.stop(self.now))

    @rule()
    def kill(self) -> None:
        self._obey(self.machine.kill(self.now))

    @precondition(lambda self: self.process)
    @rule()
    def becomes_ready(self) -> None:
        self.machine.ready(self.now)

    @rule()
    def beats(self) -> None:
        self.machine.beat(self.now)

    @precondition(lambda self: self.process)
    @rule(code=st.one_of(st.none(), st.sampled_from([0, 1, 78, -9, -6])))
    def exits(self, code: int | None) -> None:
        self.process = False
        self.machine.exited(self.now, code)

    @invariant()
    def the_machine_knows_whether_there_is_a_process(self) -> None:
        assert self.machine.alive == self.process

    @invariant()
    def a_wanted_process_is_never_given_up(self) -> None:
        if self.machine.wanted:
            assert self.machine.deadline < math.inf

    @invariant()
    def an_unwanted_process_ends_for_certain(self) -> None:
        if not self.machine.wanted and self.process:
            assert self.machine.state is State.STOPPING
            assert self.machine.deadline <= self.now + POLICY.drain_timeout

    @invariant()
    def nothing_runs_that_nobody_wants(self) -> None:
        if not self.machine.wanted:
            assert self.machine.state in (State.STOPPED, State.STOPPING, State.EXITED)


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = hypothesis_settings(max_examples=200, stateful_step_count=40, deadline=None)
