"""Environment and end of the processes that the supervisor starts."""

from __future__ import annotations

import signal
from pathlib import Path

from mutt_appliance.supervisor.processes import ProgramProcess, program_environment
from mutt_appliance.supervisor.programs import RunAs
from tests.support.waiting import wait_until


def test_a_frozen_binary_gives_programs_the_libraries_of_the_system_back() -> None:
    ours = {"PATH": "/bin", "LD_LIBRARY_PATH": "/tmp/_MEI1", "SECRET": "x"}
    assert program_environment(ours, frozen=True) == {"PATH": "/bin", "LC_ALL": "C"}
    ours["LD_LIBRARY_PATH_ORIG"] = "/opt/lib"
    assert program_environment(ours, frozen=True)["LD_LIBRARY_PATH"] == "/opt/lib"


def test_from_source_the_library_path_is_passed_on() -> None:
    environment = program_environment(
        {"LD_LIBRARY_PATH": "/opt/lib", "NOTIFY_SOCKET": "/run/n"}, frozen=False
    )
    assert environment == {"LD_LIBRARY_PATH": "/opt/lib", "LC_ALL": "C"}


def test_a_program_is_reaped_with_its_exit_code_or_signal(tmp_path: Path) -> None:
    def run(*arguments: str) -> ProgramProcess:
        return ProgramProcess(arguments, user=RunAs(), folder=tmp_path, death_signal=signal.SIGTERM)

    failing = run("sh", "-c", "exit 3")
    assert wait_until(failing.poll) == 3
    sleeping = run("sleep", "60")
    assert sleeping.poll() is None
    sleeping.send(signal.SIGKILL)
    assert wait_until(sleeping.poll) == -9
    sleeping.send(signal.SIGTERM)
    for process in (failing, sleeping):
        process.output.close()
