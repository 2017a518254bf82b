"""The pid file, whose lock tells whether the process in it is alive."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from mutt_appliance.config.faults import ConfigError, Fault

NAME = "mutt.pid"
PID_MODE = 0o644


class PidFile:
    """Held by the main process for its whole life; the kernel lets go of it whatever happens.

    `variable` is the setting that names the folder.
    """

    def __init__(self, folder: Path, variable: str) -> None:
        self._path = folder / NAME
        self._variable = variable
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Lock the file and write our pid; raises ConfigError when another appliance holds it."""
        try:
            file = self._path.open("a+", encoding="ascii")
            # Whoever may control the appliance may know its pid, whatever the umask.
            os.fchmod(file.fileno(), PID_MODE)
        except OSError as error:
            fault = Fault(
                self._variable,
                str(self._path.parent),
                f"{NAME} cannot be written: {error.strerror}",
                "choose a folder that the user who runs MUTT may write to",
            )
            raise ConfigError([fault]) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read().strip()
            file.close()
            fault = Fault(
                self._variable,
                str(self._path.parent),
                f"an appliance already runs there (process {pid or 'unknown'})",
                "stop it with `mutt-ctl shutdown`, or give this one folders and ports of its own",
            )
            raise ConfigError([fault]) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Empty the file and let go. It is not removed: another process may be waiting for its lock."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def running_pid(runtime_dir: Path) -> int | None:
    """Pid of the appliance on `runtime_dir`, None when none runs; raises OSError if it may not be read."""
    try:
        file = (runtime_dir / NAME).open(encoding="ascii")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read().strip()
            return int(text) if text.isdigit() else None
    return None
