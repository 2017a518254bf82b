"""Passes what a worker writes on to the supervisor's stderr and to the worker's log file, line by line.

Lines of several processes must not mix, and `tail` must find them without the journal. A worker whose lines
nobody takes waits once the socket is full (about 200 KB): that is the case when the supervisor is frozen, which
systemd's watchdog ends, or when whoever reads its stderr is, and a log that is lost silently would be worse.
"""

from __future__ import annotations

import selectors
import socket
import sys

from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.telemetry.priorities import stderr_is_journal, without_priorities

CHUNK_BYTES = 65536
# One worker that writes without end must not keep the supervisor from the others.
CHUNKS_PER_TURN = 8


class Relay:
    """One worker's output. `far_end` is for the worker; close it here once the worker has it."""

    def __init__(self, selector: selectors.BaseSelector, log_file: LogFile) -> None:
        self._selector = selector
        self._log_file = log_file
        self._rest = b""
        self._priorities = stderr_is_journal()
        self._near_end, self.far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._near_end.setblocking(False)
        self._open = True
        selector.register(self._near_end, selectors.EVENT_READ, self.read)

    def read(self) -> None:
        """Pass on what is there; at its end let go of the socket."""
        for _ in range(CHUNKS_PER_TURN):
            if not self._open:
                return
            try:
                chunk = self._near_end.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                self._end()
                return
            whole, newline, self._rest = (self._rest + chunk).rpartition(b"\n")
            if newline:
                self._pass_on(whole + newline)
            if len(self._rest) > CHUNK_BYTES:
                self._pass_on(self._rest + b"\n")
                self._rest = b""

    def close(self) -> None:
        """The worker is gone: pass on its last words."""
        self.far_end.close()
        while self._open:
            if _readable(self._near_end):
                self.read()
            else:
                # Something that it left behind holds the other end: what is there is enough.
                self._end()

    def _end(self) -> None:
        self._open = False
        if self._rest:
            self._pass_on(self._rest + b"\n")
            self._rest = b""
        self._selector.unregister(self._near_end)
        self._near_end.close()

    def _pass_on(self, data: bytes) -> None:
        self._log_file.write(without_priorities(data) if self._priorities else data)
        try:
            sys.stderr.flush()
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
        except OSError:
            # Nobody reads any more; the file has it.
            return


def _readable(source: socket.socket) -> bool:
    """True while something, or the end, can be read without waiting."""
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        return bool(selector.select(0))
