"""What an operator does to rotate a secret in Vault, one step after the other, while an appliance runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from mutt_appliance.control.client import do
from mutt_appliance.secrets.rotation import Rotation, rotations
from tests.support.appliance import Appliance
from tests.support.load import Load
from tests.support.moogsoft import Moogsoft
from tests.support.vault import Vault
from tests.support.waiting import wait_until

ANSWER_SECS = 10
# Connections in a row that must find the new key, as any process of a pool may answer each.
PROBES = 20


@dataclass
class Operator:
    """Changes `values` in `vault`. `patience_secs`: how long the appliance may take to find a new version."""

    appliance: Appliance
    vault: Vault
    values: dict[str, str]
    patience_secs: float

    def ask(self) -> dict[str, Any]:
        """What `mutt-ctl rotate-check` asks."""
        answer: dict[str, Any] = do(Path(self.appliance.env["MUTT_RUNTIME_DIR"]), "mutt.secrets")
        return answer

    def check(self, name: str, quiet_secs: float = 0.5) -> Rotation:
        """What `mutt-ctl rotate-check` says of a secret."""
        return {one.name: one for one in rotations(self.ask(), quiet_secs)}[name.lower()]

    def announce(self, name: str, value: str) -> None:
        """A next value; returns when the supervisor has it."""
        self.values[f"{name}_NEXT"] = value
        self.vault.put(self.values)
        wait_until(lambda: self.check(name).state == "rotating", self.patience_secs, f"{name}_NEXT is known")

    def promote(self, name: str) -> None:
        """The next value becomes the current one; returns when the supervisor knows."""
        self.values[name] = self.values.pop(f"{name}_NEXT")
        self.vault.put(self.values)
        wait_until(
            lambda: self.check(name).state == "steady", self.patience_secs, f"{name} is one value again"
        )

    def rotate_ingest_key(self, load: Load, value: str) -> None:
        """Senders change over between announcement and promotion."""
        old = load.api_key
        self.announce("INGEST_API_KEY", value)
        wait_until(lambda: self._all_ingestors_take(value), 10, "every ingestor takes the next key")
        assert not self.check("INGEST_API_KEY").done, "nobody gives the next key yet"
        load.api_key = value
        wait_until(lambda: self.check("INGEST_API_KEY").done, 20, "nobody gives the old key any more")
        self.promote("INGEST_API_KEY")
        wait_until(lambda: not self._ingestor_takes(old), 10, "the old key is refused")

    def rotate_webui_key(self, value: str) -> None:
        """Both open the API between announcement and promotion."""
        old = self.values["WEBUI_API_KEY"]
        self.announce("WEBUI_API_KEY", value)
        wait_until(lambda: self._webui_takes(value), 10, "the web UI takes the next key")
        assert self._webui_takes(old)
        self.promote("WEBUI_API_KEY")
        wait_until(lambda: not self._webui_takes(old), 10, "the old key is refused")
        assert self._webui_takes(value)

    def rotate_moog_key(self, moogsoft: Moogsoft, value: str, forwarders: int) -> None:
        """Moogsoft knows one key at a time, and changes it between announcement and promotion."""
        names = [f"forwarder:{number}" for number in range(forwarders)]
        reloads = {name: len(self.appliance.logged("reloaded", process=name)) for name in names}
        self.announce("MOOG_API_KEY", value)
        for name in names:
            self.appliance.wait_for_log("reloaded", process=name, count=reloads[name] + 1, timeout_secs=10)
        moogsoft.api_key = value
        wait_until(lambda: self.check("MOOG_API_KEY").done, 30, "every forwarder sends the next key")
        self.promote("MOOG_API_KEY")

    def _all_ingestors_take(self, key: str) -> bool:
        return all(self._ingestor_takes(key) for _ in range(PROBES))

    def _ingestor_takes(self, key: str) -> bool:
        # Nothing that could be queued: a key that is right gets a 400.
        answer = requests.post(
            self.appliance.url(), data=b"no event", headers={"X-API-KEY": key}, timeout=ANSWER_SECS
        )
        assert answer.status_code in (400, 401), answer.text
        return answer.status_code == 400

    def _webui_takes(self, key: str) -> bool:
        url = self.appliance.url("/api/v1/rules", "SERVER_PORT_WEBUI")
        answer = requests.get(url, headers={"X-API-KEY": key}, timeout=ANSWER_SECS)
        assert answer.status_code in (200, 401), answer.text
        return answer.status_code == 200


def watch_token(operator: Operator, seconds: float) -> None:
    """For so long, Vault gives the secrets and the token lives."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        source = operator.ask()["source"]
        assert source["ok"], source["detail"]
        assert source["token_ends_at"] > time.time()
        time.sleep(0.1)
