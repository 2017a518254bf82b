"""How long the one-file executable takes: to READY, and for `mutt-ctl status`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.frozen import EXECUTABLE
from bench.measure import in_turns
from bench.report import Figure
from bench.run import CannotMeasureError, Run
from bench.traffic import traffic
from tests.support.appliance import Appliance

RULES = 1_000
READY_TIMEOUT_SECS = 120.0


def bench(run: Run) -> list[Figure]:
    """Seconds from the start to READY=1 with running stores and at the first start with its own; of a status."""
    if not EXECUTABLE.exists():
        raise CannotMeasureError(f"{EXECUTABLE} is missing: make binary")
    progress = run.about("starting")
    run.stores.empty_redis()
    database = run.stores.new_database(traffic(RULES).rules)
    external = run.stores.environment(database)
    status: list[float] = []

    def started(env: Mapping[str, str]) -> float:
        folder = Path(tempfile.mkdtemp(prefix="mutt-s-"))
        folder.chmod(0o755)
        appliance = Appliance(env, folder=folder, command=("run",), python=str(EXECUTABLE))
        try:
            seconds = _until_ready(appliance, folder)
            status.append(_status_secs(appliance))
            return seconds
        finally:
            appliance.close()
            shutil.rmtree(folder, ignore_errors=True)

    running, first = in_turns(run.rounds, [lambda: started(external), lambda: started({})], progress)
    run.stores.empty_redis()
    return [
        Figure(
            "ready_running_stores_s", "to READY, stores running", f"{running.median:.2f} s", running.median
        ),
        Figure("ready_first_embedded_s", "to READY, first embedded", f"{first.median:.2f} s", first.median),
        Figure(
            "ctl_status_s",
            "mutt-ctl status",
            f"{sorted(status)[len(status) // 2]:.2f} s",
            sorted(status)[len(status) // 2],
            remark=f"slowest of {len(status)}: {max(status):.2f} s; slowest start {max(first.values):.2f} s",
        ),
    ]


def _until_ready(appliance: Appliance, folder: Path) -> float:
    """Seconds until it says READY=1, as to systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = folder / "notify"
        systemd.bind(str(address))
        systemd.settimeout(READY_TIMEOUT_SECS)
        appliance.env["NOTIFY_SOCKET"] = str(address)
        begun = time.monotonic()
        appliance.start()
        try:
            while b"READY=1" not in systemd.recv(4096):
                pass
        except TimeoutError as error:
            raise CannotMeasureError(
                f"not ready within {READY_TIMEOUT_SECS:g} s: {appliance.log_tail()}"
            ) from error
        return time.monotonic() - begun


def _status_secs(appliance: Appliance) -> float:
    begun = time.monotonic()
    done = subprocess.run(
        [EXECUTABLE.with_name("mutt-ctl"), "--runtime-dir", appliance.env["MUTT_RUNTIME_DIR"], "status"],
        stdout=subprocess.DEVNULL,
        env=os.environ,
        check=False,
    )
    seconds = time.monotonic() - begun
    # 1: an alerter that has only just started may not have told that its rules are loaded.
    if done.returncode not in (0, 1):
        raise CannotMeasureError(f"mutt-ctl status ended with {done.returncode}: {appliance.log_tail()}")
    return seconds
