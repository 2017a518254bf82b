"""A role that does nothing but what its behaviour file asks for, and keeps a journal."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from mutt_appliance.config.faults import ConfigError, Fault
from mutt_appliance.process import Child


def behave(data_dir: Path, name: str, behaviour: str) -> None:
    """Have the next process `name` do what `run` below knows by the name `behaviour`."""
    folder = data_dir / "behaviour"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(behaviour)


def journal(data_dir: Path) -> list[str]:
    """What the processes noted, in order: "start alerter:0", "stopping …", "end …", "reload …"."""
    path = data_dir / "journal"
    return path.read_text().splitlines() if path.exists() else []


def _fail() -> None:
    raise RuntimeError("told to fail")


def run(child: Child) -> None:
    """Behave."""
    data_dir = child.settings.mutt_data_dir

    def note(text: str) -> None:
        descriptor = os.open(data_dir / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{text}\n".encode())
        os.close(descriptor)

    path = data_dir / "behaviour" / child.name
    behaviour = path.read_text() if path.exists() else "serve"
    note(f"start {child.name} {child.spec.worker_name}")
    if behaviour == "crash":
        raise RuntimeError("told to crash")
    if behaviour == "refuse":
        raise ConfigError([Fault("TOLD", "so", "cannot be used", "")])
    if behaviour == "exit":
        sys.exit(3)
    if behaviour == "slow-start":
        time.sleep(0.7)
    if behaviour not in ("never-ready", "beat-only"):
        child.ready()
    if behaviour == "lose-a-thread":
        threading.Thread(target=_fail, name="settings", daemon=True).start()
    while not child.stopping.is_set():
        if behaviour == "return":
            return
        if behaviour not in ("never-ready", "hang"):
            child.beat()
        if child.reloading.is_set():
            child.reloading.clear()
            note(f"reload {child.name} {child.secrets.ingest_api_key}")
            if behaviour != "mute":
                child.report("reload", round=child.reload_round, ok=True, rules=3, rule_errors=1)
        child.stopping.wait(0.05)
    note(f"stopping {child.name}")
    if behaviour == "slow-stop":
        time.sleep(0.5)
    if behaviour == "never-stop":
        time.sleep(600)
    note(f"end {child.name}")
