"""`supervisor.*`: the methods of supervisord's XML-RPC interface, with its fields, states and fault codes.

Source: supervisor 4, supervisor/rpcinterface.py, and its manual, "XML-RPC API Documentation". Where a process
of ours has no counterpart (adding groups at run time, stdin) the answer is a fault that says so.
"""

from __future__ import annotations

import os
import signal as signals
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault

from mutt_appliance.control import facts
from mutt_appliance.control.faults import Code, fault
from mutt_appliance.control.names import group_of, process_of, split
from mutt_appliance.supervisor.states import State

if TYPE_CHECKING:
    from mutt_appliance.supervisor.loop import Supervisor
    from mutt_appliance.supervisor.members import Member

API_VERSION = "3.0"
IDENTIFICATION = "mutt"
RUNNING = (State.RUNNING, State.BACKOFF, State.STARTING)
SIGNALLABLE = (State.RUNNING, State.STARTING, State.STOPPING)
MANAGED = "the processes of MUTT are set by its configuration: change it, then mutt-ctl scale, or a restart"


class SupervisorInterface:
    """The methods run in threads of the control socket; whatever touches a process goes over the desk."""

    EXPOSED = {  # noqa: RUF012
        "getAPIVersion": "api_version",
        "getVersion": "api_version",
        "getSupervisorVersion": "supervisor_version",
        "getIdentification": "identification",
        "getState": "state",
        "getPID": "pid",
        "readLog": "read_log",
        "readMainLog": "read_log",
        "clearLog": "clear_log",
        "shutdown": "shutdown",
        "restart": "restart",
        "reloadConfig": "reload_config",
        "addProcessGroup": "add_process_group",
        "removeProcessGroup": "remove_process_group",
        "getAllProcessInfo": "all_process_info",
        "getProcessInfo": "process_info",
        "getAllConfigInfo": "all_config_info",
        "startProcess": "start_process",
        "startProcessGroup": "start_process_group",
        "startAllProcesses": "start_all_processes",
        "stopProcess": "stop_process",
        "stopProcessGroup": "stop_process_group",
        "stopAllProcesses": "stop_all_processes",
        "signalProcess": "signal_process",
        "signalProcessGroup": "signal_process_group",
        "signalAllProcesses": "signal_all_processes",
        "readProcessLog": "read_process_log",
        "readProcessStdoutLog": "read_process_log",
        "readProcessStderrLog": "read_process_log",
        "tailProcessLog": "tail_process_log",
        "tailProcessStdoutLog": "tail_process_log",
        "tailProcessStderrLog": "tail_process_log",
        "clearProcessLog": "clear_process_log",
        "clearProcessLogs": "clear_process_log",
        "clearAllProcessLogs": "clear_all_process_logs",
        "sendProcessStdin": "send_process_stdin",
        "sendRemoteCommEvent": "send_remote_comm_event",
    }

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._desk = supervisor.desk

    def api_version(self) -> str:
        """Version of this interface."""
        self._only_while_running()
        return API_VERSION

    def supervisor_version(self) -> str:
        """Version of the supervisor package whose protocol this is."""
        import supervisor.options

        self._only_while_running()
        return str(supervisor.options.VERSION)

    def identification(self) -> str:
        """Name of this supervisor."""
        self._only_while_running()
        return IDENTIFICATION

    def state(self) -> dict[str, Any]:
        """State of the supervisor: statecode and statename."""
        self._only_while_running()
        return {"statecode": 1, "statename": "RUNNING"}

    def pid(self) -> int:
        """Process id of the supervisor."""
        self._only_while_running()
        return os.getpid()

    # --- the appliance's own log and life

    def main_log_path(self) -> Path:
        """Path of the supervisor's own log; raises Fault when there is none yet."""
        return facts.existing(self._supervisor.main_log)

    def read_log(self, offset: int, length: int) -> str:
        """`length` bytes of the main log from `offset`; a negative offset counts from its end."""
        self._only_while_running()
        return facts.read_log(self.main_log_path(), offset, length)

    def clear_log(self) -> bool:
        """Empty the main log."""
        self._only_while_running()
        self.main_log_path()
        self._desk.ask(lambda: facts.clear_log(self._supervisor.main_log))
        return True

    def shutdown(self) -> bool:
        """Drain and stop the appliance."""
        self._only_while_running()
        return self._desk.ask(lambda: self._end(restart=False))

    def restart(self) -> bool:
        """Drain, read the configuration again, and start."""
        self._only_while_running()
        return self._desk.ask(lambda: self._end(restart=True))

    def reload_config(self) -> list[Any]:
        """There are no groups to be read again: a fault."""
        raise fault(Code.CANT_REREAD, MANAGED)

    def add_process_group(self, name: str) -> bool:
        """There are no groups to be added: a fault."""
        raise fault(Code.BAD_NAME, f"{name}: {MANAGED}")

    def remove_process_group(self, name: str) -> bool:
        """There are no groups to be removed: a fault."""
        raise fault(Code.FAILED, f"{name}: {MANAGED}")

    def send_process_stdin(self, name: str, chars: str) -> bool:
        """The processes read nothing from stdin: a fault."""
        self._one(name)
        raise fault(Code.NO_FILE, f"{name}: reads nothing from stdin")

    def send_remote_comm_event(self, kind: str, data: str) -> bool:
        """Nobody listens to such events: a fault."""
        raise fault(Code.FAILED, "no process of MUTT listens to events")

    # --- what there is

    def all_process_info(self) -> list[dict[str, Any]]:
        """`process_info` of every process, by name."""
        self._only_while_running()
        return self._desk.ask(lambda: [facts.process_info(member) for member in self._sorted()])

    def process_info(self, name: str) -> dict[str, Any]:
        """Name, group, state, times, pid and description of a process."""
        self._only_while_running()
        return self._desk.ask(lambda: facts.process_info(self._one(name)))

    def all_config_info(self) -> list[dict[str, Any]]:
        """What is configured of every process."""
        self._only_while_running()
        return self._desk.ask(lambda: [facts.config_info(member) for member in self._sorted()])

    # --- start, stop, signal

    def start_process(self, name: str, wait: bool = True) -> bool | list[dict[str, Any]]:
        """Start a process (`group:name`) or all of a group (`group:*`); with `wait` until it serves."""
        self._only_while_running()
        if split(name)[1] is None:
            return self.start_process_group(split(name)[0], wait)
        self._desk.ask(lambda: self._start(name))
        if wait:
            self._wait_started(name)
        return True

    def start_process_group(self, name: str, wait: bool = True) -> list[dict[str, Any]]:
        """Start those of a group that do not run."""
        self._only_while_running()
        return self._for_each(self._group(name), _stopped, self._start, self._wait_started if wait else None)

    def start_all_processes(self, wait: bool = True) -> list[dict[str, Any]]:
        """Start every process that does not run, those that others need first."""
        self._only_while_running()
        names = [
            member.name for member in self._desk.ask(lambda: sorted(self._supervisor.members, key=_level))
        ]
        return self._for_each(names, _stopped, self._start, self._wait_started if wait else None)

    def stop_process(self, name: str, wait: bool = True) -> bool | list[dict[str, Any]]:
        """Stop a process (`group:name`) or all of a group (`group:*`); it stays stopped."""
        self._only_while_running()
        if split(name)[1] is None:
            return self.stop_process_group(split(name)[0], wait)
        self._desk.ask(lambda: self._stop(name))
        if wait:
            self._wait_stopped(name)
        return True

    def stop_process_group(self, name: str, wait: bool = True) -> list[dict[str, Any]]:
        """Stop those of a group that run."""
        self._only_while_running()
        return self._for_each(self._group(name), _runs, self._stop, self._wait_stopped if wait else None)

    def stop_all_processes(self, wait: bool = True) -> list[dict[str, Any]]:
        """Stop every process, those that others need last."""
        self._only_while_running()
        members = self._desk.ask(lambda: list(self._supervisor.members))
        results: list[dict[str, Any]] = []
        for level in sorted({member.level for member in members}, reverse=True):
            names = [member.name for member in members if member.level == level]
            results += self._for_each(names, _runs, self._stop, self._wait_stopped if wait else None)
        return results

    def signal_process(self, name: str, signal: str) -> bool | list[dict[str, Any]]:
        """Send a signal, by name ("HUP") or number ("1"), to a process or all of a group (`group:*`)."""
        self._only_while_running()
        if split(name)[1] is None:
            return self.signal_process_group(split(name)[0], signal)
        number = facts.signal_number(signal)
        self._desk.ask(lambda: self._signal(name, number))
        return True

    def signal_process_group(self, name: str, signal: str) -> list[dict[str, Any]]:
        """Send a signal to those of a group that run."""
        self._only_while_running()
        number = facts.signal_number(signal)
        return self._for_each(self._group(name), _can_be_signalled, lambda each: self._signal(each, number))

    def signal_all_processes(self, signal: str) -> list[dict[str, Any]]:
        """Send a signal to every process that runs."""
        self._only_while_running()
        number = facts.signal_number(signal)
        names = [member.name for member in self._desk.ask(self._sorted)]
        return self._for_each(names, _can_be_signalled, lambda each: self._signal(each, number))

    # --- logs of processes; stdout and stderr are one

    def log_path(self, name: str) -> Path:
        """Path of a process's log; raises Fault when there is no such process or no log yet."""
        return facts.existing(self._desk.ask(lambda: self._one(name)).log_file)

    def read_process_log(self, name: str, offset: int, length: int) -> str:
        """`length` bytes of a process's log from `offset`; a negative offset counts from its end."""
        self._only_while_running()
        return facts.read_log(self.log_path(name), offset, length)

    def tail_process_log(self, name: str, offset: int, length: int) -> list[Any]:
        """The last `length` bytes of a process's log: text, offset of its end, True if there is more."""
        from supervisor.options import tailFile

        self._only_while_running()
        file = self._desk.ask(lambda: self._one(name)).log_file
        if not file.path.exists():
            return ["", 0, False]
        return list(tailFile(str(file.path), facts.whole_number(offset), facts.whole_number(length)))

    def clear_process_log(self, name: str) -> bool:
        """Empty a process's log."""
        self._only_while_running()
        self._desk.ask(lambda: facts.clear_log(self._one(name).log_file))
        return True

    def clear_all_process_logs(self) -> list[dict[str, Any]]:
        """Empty the log of every process."""
        self._only_while_running()
        names = [member.name for member in self._desk.ask(self._sorted)]
        return self._for_each(names, lambda _: True, lambda name: facts.clear_log(self._one(name).log_file))

    # --- on the loop's thread

    def _start(self, name: str) -> None:
        member = self._one(name)
        if member.machine.state in RUNNING:
            raise fault(Code.ALREADY_STARTED, name)
        if member.retiring:
            raise fault(Code.FAILED, f"{name} leaves the pool: mutt-ctl scale brings it back")
        member.held = False
        member.start(time.monotonic())

    def _stop(self, name: str) -> None:
        member = self._one(name)
        if member.machine.state not in RUNNING:
            raise fault(Code.NOT_RUNNING, name)
        member.held = True
        member.stop(time.monotonic())

    def _signal(self, name: str, number: signals.Signals) -> None:
        member = self._one(name)
        if member.machine.state not in SIGNALLABLE:
            raise fault(Code.NOT_RUNNING, name)
        try:
            member.send(number)
        except ProcessLookupError:
            raise fault(Code.NOT_RUNNING, name) from None

    def _end(self, *, restart: bool) -> bool:
        self._supervisor.stop("control socket", restart=restart)
        return True

    # --- on the thread of the call

    def _wait_started(self, name: str) -> None:
        machine = self._desk.ask(lambda: self._one(name)).machine

        def reached() -> bool | None:
            if machine.serves:
                return True
            return None if machine.state in (State.STARTING, State.STOPPING) else False

        served = self._desk.wait_for(reached, self._supervisor.restart_limit_secs[0])
        if served is None:
            raise fault(Code.FAILED, f"{name} is still starting: mutt-ctl status says when it serves")
        if not served:
            raise fault(Code.ABNORMAL_TERMINATION, f"{name}: {machine.reason}")

    def _wait_stopped(self, name: str) -> None:
        machine = self._desk.ask(lambda: self._one(name)).machine
        if not self._desk.wait_for(
            lambda: None if machine.alive else True, self._supervisor.restart_limit_secs[1]
        ):
            raise fault(Code.FAILED, f"{name} is still stopping")

    def _for_each(
        self,
        names: list[str],
        concerned: Callable[[Member], bool],
        act: Callable[[str], None],
        wait: Callable[[str], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Do `act` on the loop for those `concerned`, then `wait` for each; a result or a fault of each."""
        faults: dict[str, Fault | None] = {}

        def do_all() -> None:
            for name in names:
                if not concerned(self._one(name)):
                    continue
                try:
                    act(name)
                    faults[name] = None
                except Fault as error:
                    faults[name] = error

        self._desk.ask(do_all)
        for name in [name for name, error in faults.items() if error is None and wait is not None]:
            try:
                if wait is not None:
                    wait(name)
            except Fault as error:
                faults[name] = error
        return [facts.result(name, error) for name, error in faults.items()]

    def _only_while_running(self) -> None:
        if self._supervisor.stopping:
            raise fault(Code.SHUTDOWN_STATE)

    def _sorted(self) -> list[Member]:
        return sorted(self._supervisor.members, key=lambda member: member.name)

    def _group(self, name: str) -> list[str]:
        found = [m.name for m in self._desk.ask(self._sorted) if group_of(m.name) == name]
        if not found:
            raise fault(Code.BAD_NAME, name)
        return found

    def _one(self, name: str) -> Member:
        group, process = split(name)
        for member in self._supervisor.members:
            if (group, process) == (group_of(member.name), process_of(member.name)):
                return member
        raise fault(Code.BAD_NAME, name)


def _level(member: Member) -> int:
    return member.level


def _runs(member: Member) -> bool:
    return member.machine.state in RUNNING


def _stopped(member: Member) -> bool:
    # What has done its one task is not to do it again because all are started.
    return member.machine.state not in (*RUNNING, State.EXITED)


def _can_be_signalled(member: Member) -> bool:
    return member.machine.state in SIGNALLABLE
