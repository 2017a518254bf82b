"""A whole appliance as a process of its own, started as a user would start it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tests.support.waiting import free_port, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_SECS = 60.0
STOP_TIMEOUT_SECS = 60.0
PORT_VARIABLES = (
    "SERVER_PORT_INGESTOR",
    "METRICS_PORT_ALERTER",
    "HEALTH_PORT_ALERTER",
    "METRICS_PORT_MOOG",
    "HEALTH_PORT_MOOG",
    "SERVER_PORT_WEBUI",
)
TLS_VARIABLES = {
    "SERVER_PORT_INGESTOR": "INGEST_TLS_CERT_PATH",
    "SERVER_PORT_WEBUI": "WEBUI_TLS_CERT_PATH",
}
PASSED_ON = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")


class Appliance:
    """`mutt run` on free loopback ports with its folders below `folder`; a context manager.

    Without REDIS_HOST and DB_HOST in `env` it runs its own stores. Leaving the context ends every
    process it ever had and removes the folder if it was made here. `command` replaces what Python runs.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        command: Sequence[str] = ("-m", "mutt_appliance", "run"),
        python: str = sys.executable,
        ports: Mapping[str, int] | None = None,
        ca: Path | None = None,
    ) -> None:
        """`ca`: who issued the certificates that `env` names."""
        self._own_folder = folder is None
        if folder is None:
            # Any user may enter it: the embedded servers of root run as another user.
            folder = Path(tempfile.mkdtemp(prefix="mutt-a-"))
            folder.chmod(0o755)
        self.folder = folder
        self.ports = dict(ports) if ports else {name: free_port() for name in PORT_VARIABLES}
        empty = folder / "mutt.env"
        empty.touch()
        self.env = {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
            "MUTT_ENV_FILE": str(empty),
            "MUTT_DATA_DIR": str(folder / "data"),
            "MUTT_RUNTIME_DIR": str(folder / "run"),
            "MUTT_SECRETS_FILE": str(folder / "mutt.secrets"),
            "MOOG_WEBHOOK_URL": "http://127.0.0.1:9/moog",
            "BIND_ADDRESS": "127.0.0.1",
            "LOG_FORMAT": "json",
            **{name: str(port) for name, port in self.ports.items()},
            **(env or {}),
        }
        self.context = ssl.create_default_context(cafile=ca) if ca else None
        self.log_path = folder / "mutt.log"
        self._command = [python, *command]
        self._process: subprocess.Popen[bytes] | None = None
        self._ever: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        assert self._process is not None, "the appliance was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the supervisor is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def api_key(self) -> str:
        """INGEST_API_KEY that the appliance made at its first start."""
        return self.secret("INGEST_API_KEY")

    def secret(self, name: str) -> str:
        """A value out of the secrets file."""
        lines = Path(self.env["MUTT_SECRETS_FILE"]).read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))

    def url(self, path: str = "/ingest", port: str = "SERVER_PORT_INGESTOR") -> str:
        """Address of `path` on one of the ports."""
        scheme = "https" if TLS_VARIABLES.get(port) in self.env else "http"
        return f"{scheme}://127.0.0.1:{self.ports[port]}{path}"

    def start(self) -> Self:
        """Start the process in a process group of its own; does not wait."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self.env,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        return self

    def start_and_wait(self, timeout_secs: float = START_TIMEOUT_SECS) -> Self:
        """Start, and wait until the ingestor says that it is well."""
        self.start()
        wait_until(lambda: not self.running or self._healthy(), timeout_secs, f"ready; {self.log_tail()}")
        assert self.running, self.log_tail()
        self.processes()
        return self

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(  # noqa: S310
                self.url("/health"), timeout=2, context=self.context
            ) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def log_lines(self) -> list[dict[str, Any]]:
        """Every structured line of the log so far."""
        lines = []
        for line in self.log_path.read_text(errors="replace").splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict):
                lines.append(document)
        return lines

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Lines with this event and these fields."""
        return [
            line
            for line in self.log_lines()
            if line.get("event") == event and all(line.get(k) == v for k, v in fields.items())
        ]

    def wait_for_log(
        self, event: str, *, count: int = 1, timeout_secs: float = START_TIMEOUT_SECS, **fields: Any
    ) -> list[dict[str, Any]]:
        """Wait for `count` such lines."""
        return wait_until(
            lambda: lines if len(lines := self.logged(event, **fields)) >= count else [],
            timeout_secs,
            f"log line {event!r} {fields}",
        )

    def log_tail(self, characters: int = 3000) -> str:
        """The end of the log, for messages."""
        return self.log_path.read_text(errors="replace")[-characters:] if self.log_path.exists() else ""

    def children(self) -> dict[str, int]:
        """Pids of the supervised processes by name: `alerter:0`, `redis:0`, `postgres:0`."""
        found = {}
        for process in self.processes():
            try:
                title = " ".join(process.cmdline()).strip("\0 ")
                if process.ppid() != self.pid:
                    continue
            except psutil.Error:
                continue
            if title.startswith("mutt: "):
                found[title.removeprefix("mutt: ")] = process.pid
            elif "redis-server" in title:
                found["redis:0"] = process.pid
            elif "postgres -D" in title:
                found["postgres:0"] = process.pid
        return found

    def processes(self) -> list[psutil.Process]:
        """Every process below the supervisor now; they are remembered for `leftovers`."""
        if not self.running:
            return []
        try:
            alive: list[psutil.Process] = psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []
        self._ever.update({process.pid: process for process in alive})
        return alive

    def leftovers(self) -> list[psutil.Process]:
        """Processes of this appliance that still run although the supervisor is gone."""
        return [
            process
            for process in self._ever.values()
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        ]

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor only."""
        self.processes()
        os.kill(self.pid, number)

    def wait(self, timeout_secs: float = STOP_TIMEOUT_SECS) -> int:
        """Wait for the end; exit code of the supervisor."""
        assert self._process is not None
        return self._process.wait(timeout_secs)

    def terminate(self, timeout_secs: float = STOP_TIMEOUT_SECS) -> int:
        """SIGTERM, wait for the drain; exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_secs)

    def kill(self) -> None:
        """SIGKILL to the supervisor; its children are expected to go with it."""
        self.signal(signal.SIGKILL)
        self.wait()

    def close(self) -> None:
        """Leave nothing running, whatever happened before."""
        if self.running:
            self.processes()
            try:
                self.terminate(20)
            except subprocess.TimeoutExpired:
                self.kill()
        for process in self.leftovers():
            process.kill()
        psutil.wait_procs(list(self._ever.values()), timeout=5)
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
