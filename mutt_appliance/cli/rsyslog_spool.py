"""Messages that rsyslog handed over and MUTT does not have yet, kept over the end of the program.

rsyslog (seen with 8.2302) forgets the batch that it handed to a failing action when it is stopped,
whatever the queue's type and settings; so the program that holds the batch writes it down.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from mutt_appliance.cli.omprog import Pending

LOCK_WAIT_SECS: Final = 15.0
LOCK_RETRY_SECS: Final = 0.1


class SpoolError(Exception):
    """The spool file cannot be used; the text names it and the way out."""


class Spool:
    """One file of undelivered messages for one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def open(self) -> list[Pending]:
        """Take the file, waiting for a predecessor that is about to end, and read what it left."""
        try:
            self._take_lock()
            return [_pending(line) for line in self._path.read_bytes().splitlines()]
        except FileNotFoundError as error:
            if self._lock is None:
                raise SpoolError(self._text("has no folder: make it")) from error
            return []
        except OSError as error:
            raise SpoolError(self._text(f"cannot be used: {error.strerror}")) from error
        except (ValueError, KeyError) as error:
            aside = self._path.with_name(self._path.name + ".unreadable")
            self._path.replace(aside)
            raise SpoolError(self._text(f"is damaged: moved to {aside}")) from error

    def save(self, undelivered: Sequence[Pending]) -> None:
        """Replace the file's content, atomically and durably; no file when there is nothing to keep."""
        try:
            if not undelivered:
                self._path.unlink(missing_ok=True)
                return
            new = self._path.with_name(self._path.name + ".new")
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"".join(_line(pending) for pending in undelivered))
                file.flush()
                os.fsync(descriptor)
            new.replace(self._path)
        except OSError as error:
            raise SpoolError(self._text(f"cannot be written: {error.strerror}")) from error

    def close(self) -> None:
        """Let the next process have the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        lock = os.open(self._path.with_name(self._path.name + ".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_WAIT_SECS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise SpoolError(self._text("is in use by another rsyslog-forward")) from error
                time.sleep(LOCK_RETRY_SECS)
            else:
                self._lock = lock
                return

    def _text(self, trouble: str) -> str:
        return f"--spool {self._path}: {trouble}"


def _line(pending: Pending) -> bytes:
    # Latin-1 takes any bytes one to one; rsyslog's lines need not be UTF-8.
    return orjson.dumps(
        {"line": pending.line.decode("latin-1"), "body": pending.body.decode()},
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _pending(line: bytes) -> Pending:
    entry = orjson.loads(line)
    return Pending(entry["line"].encode("latin-1"), entry["body"].encode(), time.monotonic())
