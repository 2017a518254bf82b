"""Processes and logs in the words of supervisord's protocol."""

from __future__ import annotations

import signal as signals
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault

from mutt_appliance.control.faults import Code, fault
from mutt_appliance.control.names import group_of, process_of
from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.supervisor.states import State

if TYPE_CHECKING:
    from mutt_appliance.supervisor.members import Member

INT_MAX = 2**31 - 1


def result(name: str, error: Fault | None) -> dict[str, Any]:
    """What became of one process of several."""
    return {
        "name": process_of(name),
        "group": group_of(name),
        "status": int(Code.SUCCESS) if error is None else error.faultCode,
        "description": "OK" if error is None else error.faultString,
    }


def process_info(member: Member) -> dict[str, Any]:
    """A process as `getProcessInfo` tells it."""
    machine = member.machine
    troubled = machine.state in (State.BACKOFF, State.FATAL)
    log = str(member.log_file.path)
    return {
        "name": process_of(member.name),
        "group": group_of(member.name),
        "start": min(int(member.started_at), INT_MAX),
        "stop": min(int(member.stopped_at), INT_MAX),
        "now": min(int(time.time()), INT_MAX),
        "state": int(machine.state),
        "statename": machine.state.name,
        "spawnerr": machine.reason if troubled else "",
        # supervisord's number for an end by a signal.
        "exitstatus": -1 if member.exit_code < 0 else member.exit_code,
        "logfile": log,
        "stdout_logfile": log,
        "stderr_logfile": "",
        "pid": member.pid or 0,
        "description": describe(member, time.time()),
    }


def describe(member: Member, now: float) -> str:
    """Words for a process as supervisord has them: `pid 123, uptime 0:01:02`."""
    state = member.machine.state
    if state is State.RUNNING:
        seconds = max(0, int(now - member.started_at))
        days, rest = divmod(seconds, 86400)
        clock = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
        ages = f"{days} day{'s' if days > 1 else ''}, {clock}" if days else clock
        return f"pid {member.pid}, uptime {ages}"
    if state in (State.BACKOFF, State.FATAL):
        return member.machine.reason
    if state in (State.STOPPED, State.EXITED):
        if not member.started_at:
            return "Not started"
        return time.strftime("%b %d %I:%M %p", time.localtime(member.stopped_at))
    return ""


def config_info(member: Member) -> dict[str, Any]:
    """A process as `getAllConfigInfo` tells it."""
    policy = member.machine.policy
    log = str(member.log_file.path)
    return {
        "name": process_of(member.name),
        "group": group_of(member.name),
        "group_prio": member.level,
        "process_prio": member.level,
        "inuse": True,
        "autostart": True,
        "command": f"mutt: {member.name}",
        "directory": "none",
        "uid": "none",
        "exitcodes": [0],
        "killasgroup": False,
        "redirect_stderr": True,
        "serverurl": "none",
        "startretries": policy.fatal_after,
        "startsecs": int(policy.start_timeout),
        "stopsignal": int(signals.SIGTERM),
        "stopwaitsecs": int(policy.drain_timeout),
        "stdout_logfile": log,
        "stdout_logfile_backups": 1,
        "stdout_logfile_maxbytes": member.log_file.max_bytes,
        "stdout_capture_maxbytes": 0,
        "stdout_events_enabled": False,
        "stdout_syslog": False,
        "stderr_logfile": "none",
        "stderr_logfile_backups": 0,
        "stderr_logfile_maxbytes": 0,
        "stderr_capture_maxbytes": 0,
        "stderr_events_enabled": False,
        "stderr_syslog": False,
    }


def signal_number(word: object) -> signals.Signals:
    """The signal of a name or number; raises Fault."""
    text = str(word).upper()
    try:
        if text.isdigit():
            return signals.Signals(int(text))
        return signals.Signals[text if text.startswith("SIG") else f"SIG{text}"]
    except (ValueError, KeyError):
        raise fault(Code.BAD_SIGNAL, str(word)[:80]) from None


def whole_number(value: object) -> int:
    """A parameter that counts bytes; raises Fault."""
    if isinstance(value, int | float | str):
        try:
            return int(value)
        except ValueError:
            pass
    raise fault(Code.INCORRECT_PARAMETERS, f"{str(value)[:80]}: not a number of bytes")


def existing(file: LogFile) -> Path:
    """Path of a log file that is there; raises Fault."""
    if not file.path.exists():
        raise fault(Code.NO_FILE, file.path)
    return file.path


def read_log(path: Path, offset: int, length: int) -> str:
    """Part of a log, as `readLog` has it; raises Fault."""
    from supervisor.options import readFile

    try:
        data: bytes = readFile(str(path), whole_number(offset), whole_number(length))
    except ValueError as error:
        word = error.args[0]
        raise fault(Code[word] if word in Code.__members__ else Code.FAILED, path) from error
    return data.decode("utf-8", "replace")


def clear_log(file: LogFile) -> None:
    """Empty a log; raises Fault."""
    try:
        file.clear()
    except OSError as error:
        raise fault(Code.FAILED, f"{file.path}: {error.strerror}") from error
