"""The appliance of a demonstration: `mutt run` in a process of its own, its log in a file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from mutt_appliance.demo.places import Places
from mutt_appliance.supervisor.parent_death import before_exec

START_TIMEOUT_SECS: Final = 180.0
STOP_TIMEOUT_SECS: Final = 60.0
FORCED_STOP_SECS: Final = 15.0
POLL_SECS: Final = 0.1
# The one line by which the supervisor says that all is up.
ALL_SERVE: Final = "every process serves"


class ApplianceError(Exception):
    """The appliance does not start, or ended by itself; the text has what it said."""


class Appliance:
    """`mutt run` below this process. It stops when this process dies, however that happens."""

    def __init__(self, places: Places, environment: Mapping[str, str]) -> None:
        self._places = places
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log = LogFollower(places)

    @property
    def states(self) -> dict[str, str]:
        """State of each process by its name, in the supervisor's own words."""
        self._log.read()
        return self._log.states

    @property
    def running(self) -> bool:
        """True while the supervisor is there."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start and wait until every process serves. Raises ApplianceError."""
        self._spawn()
        deadline = time.monotonic() + START_TIMEOUT_SECS
        while True:
            self._log.read()
            if self._log.all_serve and await asyncio.to_thread(self._healthy):
                return
            if not self.running:
                raise ApplianceError(f"the appliance ended by itself:\n{self._log.troubles()}")
            if time.monotonic() > deadline:
                raise ApplianceError(
                    f"the appliance does not serve after {START_TIMEOUT_SECS:.0f} s:\n{self._log.troubles()}"
                )
            await asyncio.sleep(POLL_SECS)

    def _spawn(self) -> None:
        program = (
            [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "mutt_appliance"]
        )
        with self._places.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [*program, "--env-file", str(self._places.env_file), "run"],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the demonstration, which stops the appliance when it has seen to its end.
                start_new_session=True,
                preexec_fn=before_exec(signal.SIGTERM),
            )

    def reload(self) -> None:
        """SIGHUP, as `mutt-ctl reload` sends it."""
        self._signal(signal.SIGHUP)

    async def stop(self, *, at_once: bool = False) -> None:
        """Drain and stop; by force when that takes too long, or `at_once`."""
        for number, patience in (
            *([] if at_once else [(signal.SIGTERM, STOP_TIMEOUT_SECS)]),
            # The second SIGTERM of a stop means "now"; its first seconds count as the first.
            *([(signal.SIGTERM, 2.0), (signal.SIGTERM, FORCED_STOP_SECS)]),
            (signal.SIGKILL, FORCED_STOP_SECS),
        ):
            if not self.running:
                break
            self._signal(number)
            await self._gone(patience)

    async def _gone(self, patience_secs: float) -> None:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, patience_secs)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            os.kill(self._process.pid, number)

    def _healthy(self) -> bool:
        try:
            url = self._places.url("server_port_ingestor", "/health")
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own http address
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


class LogFollower:
    """Reads the appliance's log as it grows; keeps the last state of each process."""

    def __init__(self, places: Places) -> None:
        self._path = places.log_file
        self._position = 0
        self._other: list[str] = []
        self.states: dict[str, str] = {}
        self.all_serve = False

    def read(self) -> None:
        """Take in the lines that are new and complete."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                chunk = file.read()
        except FileNotFoundError:
            return
        whole, newline, _ = chunk.rpartition(b"\n")
        self._position += len(whole) + len(newline)
        for line in whole.decode("utf-8", "replace").splitlines():
            self._take(line)

    def troubles(self) -> str:
        """The last lines that say what is wrong."""
        return "\n".join(self._other[-12:]) or f"see {self._path}"

    def _take(self, line: str) -> None:
        document = parse_line(line)
        if document is None:
            self._other.append(line)
            return
        if document.get("event") == "process state" and "child" in document:
            self.states[str(document["child"])] = str(document.get("state"))
        elif document.get("event") == ALL_SERVE:
            self.all_serve = True
        if document.get("level") in ("error", "critical"):
            self._other.append(line)
        del self._other[:-50]


def parse_line(line: str) -> dict[str, Any] | None:
    """A structured line of the log, None for any other."""
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
