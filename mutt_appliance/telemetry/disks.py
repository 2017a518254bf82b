"""Free space where MUTT keeps data: as metrics, and a warning before it is too late."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from mutt_appliance.config import Settings
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics

log = get_logger("telemetry.disks")

LOOK_SECS = 60.0
REMIND_SECS = 3600.0


@dataclass(frozen=True)
class Space:
    """The disk of a folder, in bytes; `free_bytes` is what a user other than root may have."""

    size_bytes: int
    free_bytes: int

    @property
    def free_percent(self) -> float:
        """Share of it that is free."""
        return 100 * self.free_bytes / self.size_bytes if self.size_bytes else 100.0


def kept_folders(settings: Settings) -> dict[str, Path]:
    """Folders with data of the appliance on this machine: "data" of the embedded stores, "archive", "dead letters"."""
    folders = {"data": settings.mutt_data_dir} if settings.embedded else {}
    if settings.audit_archive_dir is not None:
        folders["archive"] = settings.audit_archive_dir
    if not any(settings.dead_letter_archive.is_relative_to(folder) for folder in folders.values()):
        folders["dead letters"] = settings.dead_letter_archive
    return folders


def nearest(folder: Path) -> Path:
    """`folder`, or what of its path is there already."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def space_of(folder: Path) -> Space:
    """The disk that `folder` is, or would be, on. Raises OSError."""
    found = os.statvfs(nearest(folder))
    return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


class DiskWatch:
    """Looks every minute; warns when space runs short, and once an hour while it does."""

    def __init__(self, settings: Settings, metrics: AlerterMetrics) -> None:
        self._folders = kept_folders(settings).values()
        self._least_percent = settings.disk_warn_free_percent
        self._metrics = metrics
        self._warned_at: dict[Path, float] = {}

    def start(self, stopping: threading.Event) -> None:
        """Begin, in a daemon thread, until `stopping` is set."""

        def loop() -> None:
            self.look()
            while not stopping.wait(LOOK_SECS):
                self.look()

        threading.Thread(target=loop, name="disks", daemon=True).start()

    def look(self) -> None:
        """One look at every folder."""
        for folder in self._folders:
            try:
                space = space_of(folder)
            except OSError as error:
                log.warning("free space is not known", folder=str(folder), error=error.strerror)
                continue
            self._metrics.disk_free.labels(path=str(folder)).set(space.free_bytes)
            self._metrics.disk_size.labels(path=str(folder)).set(space.size_bytes)
            self._judge(folder, space)

    def _judge(self, folder: Path, space: Space) -> None:
        short = space.free_percent < self._least_percent
        warned_at = self._warned_at.get(folder)
        if not short:
            if warned_at is not None:
                del self._warned_at[folder]
                log.info("there is room on the disk again", folder=str(folder))
            return
        now = time.monotonic()
        if warned_at is None or now - warned_at >= REMIND_SECS:
            self._warned_at[folder] = now
            log.warning(
                "a disk gets full: a full one stops the stores",
                folder=str(folder),
                free_bytes=space.free_bytes,
                free_percent=round(space.free_percent, 1),
                warn_below_percent=self._least_percent,
            )
