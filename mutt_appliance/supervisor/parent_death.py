"""PR_SET_PDEATHSIG: a child that gets a signal when its parent dies (prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Looked up at import: between fork and exec nothing may be loaded.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(parent_pid: int, number: signal.Signals) -> None:
    """Have the kernel send `number` to this process when its parent dies; leave now if it already has.

    The kernel forgets this on a change of user, so it comes after that.
    """
    _prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def before_exec(number: signal.Signals) -> Callable[[], None]:
    """The same as a `preexec_fn` of a program started by this process."""
    parent_pid = os.getpid()

    def prepare() -> None:
        die_with_parent(parent_pid, number)

    return prepare
