"""No image of a process that holds secrets reaches a disk, and no other process looks into it."""

from __future__ import annotations

import contextlib
import ctypes
import resource

_PR_SET_DUMPABLE = 4
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def leave_no_dump() -> None:
    """To be called first in every process that gets secrets; an exec undoes half of it.

    RLIMIT_CORE 0 is inherited, so it also covers server programs and the moment before a child gets here; but
    a kernel whose core_pattern is a pipe ignores it (core(5)). PR_SET_DUMPABLE 0 holds there, too, and makes
    /proc/PID/environ and /proc/PID/mem root's: another process of the same user cannot read what is in memory.
    The stacks that faulthandler writes at a SIGABRT are not affected; they have no values in them.
    """
    # The unit's SystemCallFilter forbids the call (Python makes a ValueError of EPERM); there LimitCORE=0 has done it.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
