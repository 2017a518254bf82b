"""Signals that come in a storm, as from a script that reloads in a loop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.support.line import Line

STORM_SECS = 3.0


def storm(pids: list[int]) -> None:
    """As many SIGHUPs as there can be."""
    ends = time.monotonic() + STORM_SECS
    while time.monotonic() < ends:
        for pid in pids:
            os.kill(pid, signal.SIGHUP)


def test_a_storm_of_sighups_keeps_nothing_waiting_and_ends_nothing(start_line: Callable[..., Line]) -> None:
    line = start_line()
    appliance = line.appliance
    before = appliance.children()
    for pids in ([appliance.pid], list(before.values())):
        storm(pids)
        line.good_event_passes()
        assert appliance.children() == before
    os.kill(before["alerter:0"], signal.SIGKILL)
    # What was sent before it does not keep the supervisor from its work.
    appliance.wait_for_log("process state", child="alerter:0", state="RUNNING", count=2, timeout_secs=4)
    assert len(appliance.logged("reload: done")) < 50
