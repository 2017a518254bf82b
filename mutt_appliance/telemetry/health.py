"""Health of each process as a small file, so that any process of a pool can answer for all of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutt_appliance.telemetry.logs import get_logger

log = get_logger("telemetry.health")

PUBLISH_INTERVAL_SECS = 1.0
STALE_AFTER_SECS = 10.0


@dataclass(frozen=True)
class Component:
    """One thing a process depends on or does: whether it is well, and in words how it is."""

    ok: bool
    detail: str


class HealthBoard:
    """What one process knows of its own health, written to `<runtime>/health/<role>-<index>.json`."""

    def __init__(self, runtime_dir: Path, role: str, index: int) -> None:
        self._path = health_folder(runtime_dir) / f"{role}-{index}.json"
        self._components: dict[str, Component] = {}
        self._facts: dict[str, Any] = {}
        self._changed = True
        self._published_at = 0.0
        self._unwritten = False

    def set(self, component: str, ok: bool, detail: str = "") -> bool:
        """Note how `component` is; returns True when `ok` changed, which is worth a log line."""
        before = self._components.get(component)
        now = Component(ok, detail or ("ok" if ok else "not ok"))
        if before == now:
            return False
        self._components[component] = now
        self._changed = True
        return before is None or before.ok != ok

    def fact(self, name: str, value: Any) -> None:
        """Note something that is neither well nor unwell, such as a number of rules."""
        if self._facts.get(name) != value:
            self._facts[name] = value
            self._changed = True

    @property
    def ok(self) -> bool:
        """True when every component is well."""
        return all(component.ok for component in self._components.values())

    def publish(self) -> None:
        """Write the file if a second has passed or something changed."""
        now = time.monotonic()
        if not self._changed and now - self._published_at < PUBLISH_INTERVAL_SECS:
            return
        self._published_at = now
        self._changed = False
        document = {
            "status": "ok" if self.ok else "degraded",
            "updated_at": time.time(),
            "components": {
                name: {"ok": c.ok, "detail": c.detail} for name, c in sorted(self._components.items())
            },
            **self._facts,
        }
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(document, default=str), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:
            # A full or missing runtime folder, or no descriptor left, must not stop the work; readers see a stale file.
            self._changed = True
            if not self._unwritten:
                self._unwritten = True
                log.error(
                    "health cannot be written: this process will look as if it did not respond",
                    error=str(error),
                )
        else:
            if self._unwritten:
                self._unwritten = False
                log.info("health is written again")


def health_folder(runtime_dir: Path) -> Path:
    """Folder of the health files; the supervisor makes and empties it at start."""
    return runtime_dir / "health"


def forget(runtime_dir: Path, name: str) -> None:
    """Remove the health file of the process `name` (`alerter:3`), which is not to come back."""
    (health_folder(runtime_dir) / f"{name.replace(':', '-')}.json").unlink(missing_ok=True)


def pool_health(runtime_dir: Path, role: str, now: float | None = None) -> tuple[bool, dict[str, Any]]:
    """Merge the health of all processes of `role`: (all well, document).

    A file that was not renewed for STALE_AFTER_SECS means a process that is frozen or gone.
    """
    now = time.time() if now is None else now
    processes: dict[str, Any] = {}
    for path in sorted(health_folder(runtime_dir).glob(f"{role}-*.json")):
        name = f"{role}:{path.stem.rsplit('-', 1)[1]}"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        age = max(0.0, now - float(document.pop("updated_at", 0)))
        if age > STALE_AFTER_SECS:
            document["status"] = "not responding"
        document["age_seconds"] = round(age, 1)
        processes[name] = document
    well = bool(processes) and all(p["status"] == "ok" for p in processes.values())
    status = "ok" if well else "degraded" if processes else "down"
    return well, {"status": status, "role": role, "processes": processes}


def troubles_of(process: dict[str, Any]) -> str:
    """What a process of `pool_health` says is wrong with it: `database: connection refused; …`, empty if nothing."""
    return "; ".join(
        f"{name}: {state['detail']}"
        for name, state in process.get("components", {}).items()
        if not state["ok"]
    )
