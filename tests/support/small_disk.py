"""A disk of a few megabytes that a test can fill. It needs root."""

from __future__ import annotations

import contextlib
import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

CHUNK = bytes(4096)


class SmallDisk:
    """A folder that any user may write to, on a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(CHUNK)

    def empty(self) -> None:
        """Give back the room that `fill` took."""
        self._ballast.unlink()

    @property
    def full(self) -> bool:
        """True if not a byte can be written."""
        probe = self.folder / "probe"
        try:
            probe.write_bytes(b"\0")
        except OSError as error:
            return error.errno == errno.ENOSPC
        finally:
            probe.unlink(missing_ok=True)
        return False


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one at `folder`, which must be there, until the block ends."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=1777", "tmpfs", folder], check=True
    )
    try:
        yield SmallDisk(folder)
    finally:
        # Whoever still has a file open there must not keep it.
        subprocess.run(["umount", "--lazy", folder], check=True)
