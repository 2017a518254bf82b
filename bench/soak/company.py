"""What people and monitoring do to an appliance while it works."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import requests

from bench.webui import DASHBOARD_PATHS
from tests.support.appliance import Appliance

DASHBOARD_SECS = 10.0
SCRAPE_SECS = 15.0
RULE_SECS = 60.0
RELOAD_SECS = 240.0
# A short run has some of each as well.
RULES_AT_LEAST = 4
RELOADS_AT_LEAST = 2
SCRAPED = ("SERVER_PORT_INGESTOR", "METRICS_PORT_ALERTER", "METRICS_PORT_MOOG", "SERVER_PORT_WEBUI")
PAGES = ("/", "/rules", "/audit-log")
NEW_RULE = {
    "match_string": "nobody ever says this",
    "prod_handling": "Log_only",
    "dev_handling": "Log_only",
}
TURN_SECS = 0.2
TIMEOUT_SECS = 30.0


class Company:
    """Polls a dashboard, scrapes metrics, changes a rule now and then, reloads every few minutes; in a thread.

    `done` counts what was done, `failed` what went wrong.
    """

    def __init__(self, target: Appliance, seconds: float) -> None:
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._target = target
        self._tasks: list[tuple[str, float, Callable[[], None]]] = [
            ("dashboard", DASHBOARD_SECS, self._dashboard),
            ("scrape", SCRAPE_SECS, self._scrape),
            ("rule change", min(RULE_SECS, seconds / (RULES_AT_LEAST + 1)), self._change_rules),
            ("reload", min(RELOAD_SECS, seconds / (RELOADS_AT_LEAST + 1)), self._reload),
        ]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="company", daemon=True)

    def __enter__(self) -> Self:
        key = self._target.secret("WEBUI_API_KEY")
        self._browser, self._script = requests.Session(), requests.Session()
        self._call("POST", "/sign-in", data={"api_key": key})
        self._script.headers["X-API-KEY"] = key
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._browser.close()
        self._script.close()

    def _run(self) -> None:
        started = time.monotonic()
        due = [started + every for _, every, _ in self._tasks]
        while not self._stopping.wait(TURN_SECS):
            for place, (name, every, act) in enumerate(self._tasks):
                if time.monotonic() < due[place]:
                    continue
                due[place] += every
                try:
                    act()
                    self.done[name] += 1
                except (requests.RequestException, OSError) as error:
                    self.failed[f"{name}: {error or type(error).__name__}"] += 1

    def _dashboard(self) -> None:
        for page in PAGES:
            self._call("GET", page)
        for path in DASHBOARD_PATHS:
            self._call("GET", path, self._script)

    def _scrape(self) -> None:
        for port in SCRAPED:
            requests.get(self._target.url("/metrics", port), timeout=TIMEOUT_SECS).raise_for_status()

    def _change_rules(self) -> None:
        rules, turn = "/api/v1/rules", self.done["rule change"]
        self._call("PUT", f"{rules}/1", self._script, json={"priority": 100 + turn % 2})
        made = self._call("POST", rules, self._script, json=NEW_RULE).json()
        self._call("DELETE", f"{rules}/{made['id']}", self._script)

    def _call(
        self, method: str, path: str, who: requests.Session | None = None, **content: Any
    ) -> requests.Response:
        """An answer of the web UI, to the person who is signed in or to `who`; raises RequestException for an error."""
        url = self._target.url(path, "SERVER_PORT_WEBUI")
        answer = (who or self._browser).request(method, url, timeout=TIMEOUT_SECS, **content)
        answer.raise_for_status()
        return answer

    def _reload(self) -> None:
        self._target.signal(signal.SIGHUP)
