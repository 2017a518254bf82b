"""The last lines of one process in a file of bounded size, for `tail` and for those without the journal."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, TextIO

from mutt_appliance.telemetry.priorities import without_priorities

LOG_MAX_BYTES = 1_048_576
LOG_FOLDER = "logs"
LOG_MODE = 0o640


class LogFile:
    """Appends; at `max_bytes` the file becomes `….1` and a new one begins.

    A full disk must not end the process that logs: what cannot be written is left out.
    """

    def __init__(self, path: Path, max_bytes: int = LOG_MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._file: BinaryIO | None = None
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append whole lines."""
        try:
            if self._file is not None and self._size + len(data) > self.max_bytes:
                self._file.close()
                self._file = None
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            file = self._file or self._open()
            file.write(data)
            self._size += len(data)
        except OSError:
            self.close()

    def clear(self) -> None:
        """Empty the file and forget the one before it; raises OSError."""
        self.path.with_name(f"{self.path.name}.1").unlink(missing_ok=True)
        if self.path.exists():
            os.truncate(self.path, 0)
        self._size = 0

    def close(self) -> None:
        """Let go of the file; the next line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, LOG_MODE)
        status = os.fstat(descriptor)
        # Whatever the umask is; but never a device such as /dev/null, which is everybody's.
        if stat.S_ISREG(status.st_mode):
            os.fchmod(descriptor, LOG_MODE)
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._size = status.st_size
        return self._file


def log_of(runtime_dir: Path, name: str) -> LogFile:
    """The log file of a process: `logs/alerter-0.log` for `alerter:0`."""
    return LogFile(runtime_dir / LOG_FOLDER / f"{name.replace(':', '-')}.log")


class Tee:
    """A text stream that writes to stderr and to a log file: the supervisor's own lines.

    A stderr that nobody reads any more, or that is a file on a full disk, must not end the supervisor: its lines are
    left out there.
    """

    def __init__(self, file: LogFile, stream: TextIO | None = None) -> None:
        self._file = file
        self._stream = stream or sys.stderr

    def write(self, text: str) -> int:
        """Write to both."""
        self._file.write(without_priorities(text.encode("utf-8", "backslashreplace")))
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream; the file is not buffered."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        """As the stream."""
        return self._stream.isatty()
