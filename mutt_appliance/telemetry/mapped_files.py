"""Prometheus' mapped files, each with room on its disk for all of its bytes.

prometheus_client makes them sparse. Once MUTT_RUNTIME_DIR is full, and others may fill its disk as well, the kernel
would end (SIGBUS) whichever process writes to a part of its file that was never written before.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import _INITIAL_MMAP_SIZE, MmapedDict

# What an entry has beside its name: lengths, padding, value, time.
ENTRY_MOST_BYTES = 40


class RoomyDict(MmapedDict):
    """Raises OSError where there is no room for the file, or for it to grow."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            with Path(filename).open("ab") as file:
                size = max(os.fstat(file.fileno()).st_size, _INITIAL_MMAP_SIZE)
                _make_room(file.fileno(), size, filename)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        if self._used + len(key.encode()) + ENTRY_MOST_BYTES > self._capacity:
            _make_room(self._f.fileno(), 2 * self._capacity, self._fname)
        super()._init_value(key)  # type: ignore[no-untyped-call]


def use_roomy_files() -> None:
    """For all metrics that this process makes from now on."""
    values.MmapedDict = RoomyDict  # type: ignore[attr-defined]


def _make_room(descriptor: int, size: int, filename: str) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        raise OSError(error.errno, f"no room for metrics: {error.strerror}", filename) from error
