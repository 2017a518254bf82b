"""No core of a process that holds secrets, and no look into it, on a machine that would allow both."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervisor.mini_appliance import Mini
from tests.support.waiting import wait_until

NOBODY = pwd.getpwnam("nobody")
# Nobody may not enter every checkout, so it becomes nobody when all is imported; the kernel takes away for that
# what is given back by PR_SET_DUMPABLE 1.
PROGRAM = """
import ctypes, os, sys, time
from mutt_appliance.supervisor.no_dump import leave_no_dump
os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[2]))
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if "guarded" in sys.argv:
    leave_no_dump()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _cores_allowed() -> Iterator[None]:
    """Programs that are started now may leave a core of any size."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def aborted(folder: Path, *arguments: str) -> tuple[bool, int]:
    """Whether a program that is ended by SIGABRT leaves a core, and the owner of its /proc/PID/environ."""
    folder.chmod(0o777)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(NOBODY.pw_gid), str(NOBODY.pw_uid), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    owner = Path(f"/proc/{process.pid}/environ").stat().st_uid
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.stdout.close()
    process.returncode = -signal.SIGABRT
    return os.WCOREDUMP(status), owner


def test_a_guarded_process_leaves_no_core_and_its_environment_is_roots(short_tmp_path: Path) -> None:
    assert aborted(short_tmp_path, "guarded") == (False, 0)
    # The same without the guard: what the test looks at would show it.
    assert aborted(short_tmp_path) == (True, NOBODY.pw_uid)


def test_no_process_of_an_appliance_may_leave_a_core() -> None:
    with Mini() as mini:
        pids = mini.serve().children()
        for pid in (*pids.values(), mini.pid):
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            (core,) = [line.split() for line in limits if line.startswith("Max core file size")]
            assert core[4:6] == ["0", "0"]
        os.kill(pids["webui:0"], signal.SIGABRT)
        wait_until(lambda: mini.states("webui:0").count("RUNNING") == 2, 20, "it was replaced")
        # Its stacks are in the log all the same, and have no values in them.
        assert "Fatal Python error: Aborted" in mini.log_path.read_text()
        os.kill(mini.pid, signal.SIGABRT)
        _, status = os.waitpid(mini.pid, 0)
        assert os.WTERMSIG(status) == signal.SIGABRT
        assert not os.WCOREDUMP(status)
