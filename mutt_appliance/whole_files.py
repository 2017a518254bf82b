"""Files that are there whole or not at all, on a disk that is not filled up with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

FILE_MODE = 0o600
RESERVE_SHARE: Final = 0.02
"""Of a disk this share is left free: the stores may be on the same one."""


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file of mode 0600, which gets its name when the block ends well and all of it is on the disk.

    What a block that raises has written is removed. Raises OSError.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        # What lies there, of a process that was killed or of whoever may write in that folder, keeps its own mode.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def reserve_is_left(folder: Path) -> bool:
    """False when only RESERVE_SHARE of the disk of `folder`, or less, is free. Raises OSError."""
    space = os.statvfs(folder)
    return space.f_bavail >= space.f_blocks * RESERVE_SHARE


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
