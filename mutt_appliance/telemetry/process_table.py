"""The supervisor's table of processes as a small file, for the metrics of the web UI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mutt_appliance.telemetry.health import health_folder


@dataclass(frozen=True)
class ProcessRow:
    """A process by its name (`alerter:0`): whether it serves (or did its one task), and how often it came back."""

    name: str
    up: bool
    restarts: int


class ProcessTable:
    """Writes `<runtime>/health/supervisor.json` when something changed."""

    def __init__(self, runtime_dir: Path) -> None:
        self._path = _path(runtime_dir)
        self._written: tuple[ProcessRow, ...] | None = None

    def show(self, rows: Sequence[ProcessRow]) -> None:
        """To be called often, it costs nothing while all is as it was."""
        now = tuple(rows)
        if now == self._written:
            return
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps([asdict(row) for row in now]), encoding="utf-8")
            temporary.replace(self._path)
        except OSError:
            # A full runtime folder must not stop the supervision; the next turn tries again.
            return
        self._written = now


def read_process_table(runtime_dir: Path) -> list[ProcessRow]:
    """The rows as they are; none before the supervisor has written them."""
    try:
        return [ProcessRow(**row) for row in json.loads(_path(runtime_dir).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _path(runtime_dir: Path) -> Path:
    return health_folder(runtime_dir) / "supervisor.json"
