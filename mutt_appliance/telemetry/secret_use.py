"""Which of the two values of a secret is used, so that an operator knows when the old one may go."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from prometheus_client.mmap_dict import MmapedDict

from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.metrics import ApiKeyMetrics, metrics_folder, secrets_in_use

Which = Literal["current", "next"]
BOTH: tuple[Which, Which] = ("current", "next")
METRICS = (
    "mutt_secrets_in_use",
    "mutt_secrets_used_total",
    "mutt_secrets_last_used_timestamp_seconds",
)


class KeyUse:
    """What one process has to say about its use of the API key `name`; from any thread.

    `ours`: we send it, so that the one sent last is the one in use; else callers may use both at once. The
    counter only grows. "Last used" is about the value: when the next one becomes the current one it goes
    with it, and it begins anew for a value that was not there before.
    """

    def __init__(
        self,
        name: str,
        secrets: Secrets,
        *,
        ours: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = ApiKeyMetrics()
        self._name = name
        self._ours = ours
        self._clock = clock
        self._lock = threading.Lock()
        self._values = secrets.both(name)
        self._last = dict.fromkeys(self._values, 0.0)
        for which in BOTH:
            self._metrics.used.labels(name, which)
        self._show()

    def renew(self, secrets: Secrets) -> None:
        """The values are these from now on."""
        with self._lock:
            self._values = secrets.both(self._name)
            self._last = {value: self._last.get(value, 0.0) for value in self._values}
            self._show()

    def used(self, which: Which, count: int = 1) -> None:
        """`count` requests were made with this value."""
        if not count:
            return
        with self._lock:
            self._last[self._values[BOTH.index(which)]] = self._clock()
            self._metrics.used.labels(self._name, which).inc(count)
            self._show()

    def _show(self) -> None:
        times = {
            which: self._last[value] if value else 0.0
            for which, value in zip(BOTH, self._values, strict=True)
        }
        for which, last in times.items():
            self._metrics.last_used.labels(self._name, which).set(last)
        if self._ours and any(times.values()):
            secrets_in_use().tell(self._name, max(BOTH, key=lambda which: times[which]))


def recorded(runtime_dir: Path, processes: list[str]) -> list[dict[str, Any]]:
    """What `processes` (`alerter:0`) have written of their use, a value each: metric, secret, which, process, value."""
    found = []
    for process in processes:
        role, _, index = process.partition(":")
        for path in sorted(metrics_folder(runtime_dir, role).glob(f"*_{role}-{index}.db")):
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
                _, name, labels, *_ = json.loads(key)
                if name in METRICS:
                    found.append({"metric": name, "process": process, "value": float(value), **labels})
    return found
