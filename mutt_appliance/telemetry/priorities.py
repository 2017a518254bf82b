"""The priority of a log line for the journal: `<3>` in front of it, as sd-daemon(3) has it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

STDERR: Final = 2
# syslog(3): err, warning, info, debug.
PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
DEFAULT: Final = PRIORITIES["info"]
_PRIORITY = re.compile(rb"^<[0-7]>", re.MULTILINE)


def stderr_is_journal(environ: Mapping[str, str] | None = None, descriptor: int = STDERR) -> bool:
    """True when `descriptor` is the stream that JOURNAL_STREAM means (systemd.exec(5)).

    A terminal that the user's session started inherits the variable, but not the stream.
    """
    device, _, inode = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def with_priority(level: str, text: str) -> str:
    """`text`, each of its lines with the priority of `level` ("warning")."""
    mark = f"<{PRIORITIES.get(level, DEFAULT)}>"
    return mark + text.replace("\n", f"\n{mark}")


def without_priorities(data: bytes) -> bytes:
    """The same lines for who is not the journal."""
    return _PRIORITY.sub(b"", data)
