"""What server programs write, as lines of our own log."""

from __future__ import annotations

import logging
import os
import re
from collections import deque

from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.telemetry.logs import get_logger

KEPT_LINES = 20
CHUNK_BYTES = 65536
LINE_MAX_BYTES = 8192

_POSTGRES_LINE = re.compile(
    r"^(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT): +"
)
_REDIS_LINE = re.compile(r"^\d+:[A-Z] \d\d \w{3} \d{4} [\d:.]+ ([.\-*#]) ")
# Redis marks much of its everyday talk as a warning; what is one says so in words.
_REDIS_TROUBLE = re.compile(
    r"warning|error|fail|fatal|can't|cannot|crash|out of|bad|wrong|MISCONF", re.IGNORECASE
)
_POSTGRES_LEVELS = {"WARNING": logging.WARNING, "ERROR": logging.WARNING}
_POSTGRES_SERIOUS = ("FATAL", "PANIC")


def split_level(line: str) -> tuple[int, str]:
    """(level, text without the server's own prefix) of a line of PostgreSQL or Redis.

    Their everyday messages are for debugging here.
    """
    match = _REDIS_LINE.match(line)
    if match:
        text = line[match.end() :]
        trouble = match.group(1) == "#" and _REDIS_TROUBLE.search(text) is not None
        return (logging.WARNING if trouble else logging.DEBUG), text
    match = _POSTGRES_LINE.match(line)
    if match:
        word = match.group(1)
        if word in _POSTGRES_SERIOUS:
            return logging.WARNING, line
        return _POSTGRES_LEVELS.get(word, logging.DEBUG), line[match.end() :]
    return logging.DEBUG, line


class OutputReader:
    """Reads a program's output as it comes, into the log and as it is into `log_file`.

    Keeps the last lines for the report of a failure.
    """

    def __init__(self, name: str, log_file: LogFile) -> None:
        self._name = name
        self._log_file = log_file
        self._rest = b""
        self._log = get_logger("supervisor.output")
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)

    def read(self, descriptor: int) -> bool:
        """Take what is there from a pipe that does not block; False at its end."""
        while True:
            try:
                chunk = os.read(descriptor, CHUNK_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not chunk:
                self._line(self._rest)
                self._rest = b""
                return False
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._line(line)
            if len(self._rest) > LINE_MAX_BYTES:
                self._line(self._rest)
                self._rest = b""

    def _line(self, raw: bytes) -> None:
        line = raw[:LINE_MAX_BYTES].decode("utf-8", "replace").rstrip()
        if not line:
            return
        self._log_file.write(f"{line}\n".encode())
        level, text = split_level(line)
        self.last_lines.append(text)
        self._log.log(level, text, process=self._name)
