"""The two kinds of process behind one small interface: our own roles, and server programs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from typing import IO, Any, Protocol

from mutt_appliance.process import ChildSpec
from mutt_appliance.supervisor.bootstrap import HELD_SIGNALS, run_child
from mutt_appliance.supervisor.parent_death import before_exec
from mutt_appliance.supervisor.programs import RunAs

PASSED_ON_VARIABLES = ("PATH", "TMPDIR", "TZ", "LD_LIBRARY_PATH")


class Process(Protocol):
    """A started process."""

    @property
    def pid(self) -> int:
        """Process id; stays valid until `poll` has told the end."""

    def poll(self) -> int | None:
        """Reap: None while it runs, then its exit code, or minus the signal that ended it."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is already gone."""


class WorkerProcess:
    """One of our roles in a spawned Python process, which is the same in a frozen binary."""

    def __init__(self, spec: ChildSpec, module: str) -> None:
        context = multiprocessing.get_context("spawn")
        _do_without_resource_tracker()
        self._process = context.Process(target=run_child, args=(spec, module), name=spec.name)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid or 0

    def poll(self) -> int | None:
        """Reap: None while it runs, then its exit code, or minus the signal that ended it."""
        code = self._process.exitcode
        if code is not None:
            # Also takes it off multiprocessing's list of children that Python waits for at its end.
            self._process.join()
        return code

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is already gone."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)


class ProgramProcess:
    """A server program in the foreground, in a session of its own so that Ctrl-C does not reach it.

    It gets `death_signal` when the supervisor dies. `output` is the read end of its stdout and
    stderr, not blocking. `keep_open` are descriptors that it inherits.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        user: RunAs,
        folder: Path,
        death_signal: signal.Signals,
        keep_open: Sequence[int] = (),
    ) -> None:
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [str(part) for part in arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=program_environment(os.environ, frozen=bool(getattr(sys, "frozen", False))),
            start_new_session=True,
            umask=0o077,
            pass_fds=keep_open,
            preexec_fn=before_exec(death_signal),
            **user.popen_arguments,  # type: ignore[call-overload]
        )
        if self._process.stdout is None:
            raise OSError("no pipe for the output of the program")
        self.output: IO[bytes] = self._process.stdout
        os.set_blocking(self.output.fileno(), False)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Reap: None while it runs, then its exit code, or minus the signal that ended it."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is already gone."""
        self._process.send_signal(number)


def _do_without_resource_tracker() -> None:
    """Keep multiprocessing from starting its helper process beside ours.

    The helper removes named semaphores and shared memory that processes leave behind. We have none
    of them, and it costs 7 MB and a nameless process. It counts as running while its pipe takes
    what is written; should a later Python see through that, it starts the helper, and all still works.
    """
    tracker: Any = resource_tracker._resource_tracker
    if tracker._fd is None:
        tracker._fd = os.open(os.devnull, os.O_WRONLY)


def program_environment(environ: Mapping[str, str], *, frozen: bool) -> dict[str, str]:
    """Environment of a server program: little, in the C locale.

    A frozen binary has its own libraries in LD_LIBRARY_PATH and the user's value in
    LD_LIBRARY_PATH_ORIG (PyInstaller manual, "LD_LIBRARY_PATH / LIBPATH considerations").
    """
    passed = {name: environ[name] for name in PASSED_ON_VARIABLES if name in environ}
    if frozen:
        passed.pop("LD_LIBRARY_PATH", None)
        if "LD_LIBRARY_PATH_ORIG" in environ:
            passed["LD_LIBRARY_PATH"] = environ["LD_LIBRARY_PATH_ORIG"]
    return {**passed, "LC_ALL": "C"}
