"""An appliance of trivial roles with short times, as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tests.supervisor.trivial_role import journal
from tests.support.appliance import Appliance
from tests.support.waiting import wait_until

QUICK = {
    "REDIS_HOST": "127.0.0.1",
    "LIVENESS_TIMEOUT": "3",
    "BRPOPLPUSH_TIMEOUT": "1",
    "START_TIMEOUT": "30",
    "DRAIN_TIMEOUT": "4",
    "RESTART_BACKOFF_BASE": "0.1",
    "RESTART_BACKOFF_MAX": "0.4",
    "RESTART_FATAL_AFTER": "4",
    "RESTART_FATAL_RETRY": "1",
}
EVERYBODY = {"webui:0", "alerter:0", "alerter:1", "forwarder:0", "ingestor:0"}


class Mini(Appliance):
    """An appliance of trivial roles. An empty variable counts as not set: REDIS_HOST="" is embedded mode."""

    everybody = frozenset(EVERYBODY)

    def __init__(self, folder: Path | None = None, **env: str) -> None:
        super().__init__(
            {**QUICK, "ALERTER_WORKERS": "2", **env}, folder=folder, command=("-m", "tests.supervisor.mini")
        )
        self.data_dir = Path(self.env["MUTT_DATA_DIR"])
        self.data_dir.mkdir(exist_ok=True)

    def serve(self) -> Self:
        """Start and wait until every process serves."""
        before = len(self.logged("every process serves")) if self.log_path.exists() else 0
        self.start()
        wait_until(
            lambda: not self.running or len(self.logged("every process serves")) > before,
            60,
            f"every process serves; {self.log_path}",
        )
        assert self.running, self.log_tail()
        assert set(self.children()) == self.everybody
        return self

    def journal(self, word: str) -> list[str]:
        """Names of the processes that noted `word`, in order."""
        return [line.split()[1] for line in journal(self.data_dir) if line.startswith(f"{word} ")]

    def states(self, name: str) -> list[str]:
        """States that `name` went through."""
        return [line["state"] for line in self.logged("process state", child=name)]

    def wait_for_state(self, name: str, state: str, count: int = 1) -> None:
        """Wait until `name` has been in `state` `count` times."""
        self.wait_for_log("process state", child=name, state=state, count=count, timeout_secs=60)
