"""Work that goes from other threads to the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from xmlrpc.client import Fault

import pytest

from mutt_appliance.control import desk as desk_module
from mutt_appliance.control.desk import Desk
from mutt_appliance.control.faults import Code


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk with a loop that turns when it is woken."""
    woken = threading.Event()
    over = threading.Event()
    made = Desk(woken.set)

    def loop() -> None:
        while not over.is_set():
            woken.wait(0.01)
            woken.clear()
            made.serve()
            made.turned()

    thread = threading.Thread(target=loop)
    thread.start()
    yield made
    over.set()
    thread.join()


def test_the_loop_does_the_work_and_the_asker_has_the_result(desk: Desk) -> None:
    assert desk.ask(threading.get_ident) != threading.get_ident()


def test_an_error_belongs_to_the_asker(desk: Desk) -> None:
    def fail() -> None:
        raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing"):
        desk.ask(fail)
    assert desk.ask(lambda: "goes on") == "goes on"


def test_a_loop_that_does_not_turn_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "ANSWER_TIMEOUT_SECS", 0.05)
    done: list[int] = []
    frozen = Desk(lambda: None)
    with pytest.raises(Fault, match="did not answer") as caught:
        frozen.ask(lambda: done.append(1))
    assert caught.value.faultCode == Code.FAILED
    frozen.serve()
    assert done == [], "what nobody waits for any more must not be done late"


def test_waiting_ends_with_the_turn_that_brings_it(desk: Desk) -> None:
    seen: list[int] = []

    def reached() -> str | None:
        seen.append(1)
        return "there" if len(seen) > 3 else None

    assert desk.wait_for(reached, 30) == "there"


def test_waiting_has_an_end(desk: Desk) -> None:
    assert desk.wait_for(lambda: None, 0.05) is None
