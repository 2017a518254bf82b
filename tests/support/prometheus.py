"""A real Prometheus on a free port that scrapes an appliance as the files of etc/prometheus say, only quicker."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import requests
import yaml

from tests.support.appliance import TLS_VARIABLES
from tests.support.monitoring import ALERTS, RECORDING, SCRAPE
from tests.support.waiting import wait_until

APPLIANCE = "hq"
INSTANCE = "127.0.0.1"
# Port of the shipped file -> variable of the appliance.
PORTS = {
    "8080": "SERVER_PORT_INGESTOR",
    "8081": "METRICS_PORT_ALERTER",
    "8083": "METRICS_PORT_MOOG",
    "8090": "SERVER_PORT_WEBUI",
}
# What the shipped file says is to be taken in where a door speaks TLS.
OF_TLS = re.compile(r"^( +)# (?=scheme:|tls_config:)", re.MULTILINE)
RANGE = "30s"
START_SECS = 30.0
QUERY_SECS = 10.0


class Prometheus:
    """The server, below `folder`; `ports` are the appliance's, whose doors speak TLS with certificates of `ca`.

    Rules wait a second before they fire and look back at most RANGE; the windows of service levels stay as they are.
    """

    def __init__(self, folder: Path, port: int, ports: Mapping[str, int], ca: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._write(ports, ca)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self._folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "prometheus.log").open("ab"),
        )
        wait_until(self._ready, START_SECS, "Prometheus is ready")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(START_SECS)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The samples of an instant query; AssertionError with Prometheus' words when it is none."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": promql}, timeout=QUERY_SECS)
        document = answer.json()
        assert document["status"] == "success", (promql, document)
        found: list[dict[str, Any]] = document["data"]["result"]
        return found

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """Alerts that fire now, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self._get("/api/v1/alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def values_of(self, label: str, selector: str) -> list[str]:
        """As Grafana's label_values(selector, label)."""
        query = urllib.parse.urlencode({"match[]": selector})
        found: list[str] = self._get(f"/api/v1/label/{label}/values?{query}")
        return found

    def faulty_rules(self) -> dict[str, str]:
        """Rules whose last evaluation failed, with the reason."""
        groups = self._get("/api/v1/rules")["groups"]
        return {
            rule["name"]: rule["lastError"]
            for group in groups
            for rule in group["rules"]
            if rule.get("lastError")
        }

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=QUERY_SECS) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()[-2000:]
        try:
            return requests.get(f"{self.url}/-/ready", timeout=QUERY_SECS).status_code == 200
        except requests.ConnectionError:
            return False

    def _write(self, ports: Mapping[str, int], ca: Path) -> None:
        hosts = self._folder / "hosts.yml"
        hosts.write_text(json.dumps([{"targets": [INSTANCE], "labels": {"appliance": APPLIANCE}}]))
        scrape = SCRAPE.read_text(encoding="utf-8").replace("/etc/prometheus/mutt-hosts.yml", str(hosts))
        for port, variable in PORTS.items():
            scrape = scrape.replace(f"${{1}}:{port}", f"${{1}}:{ports[variable]}")
        scrape, doors = OF_TLS.subn(r"\1", scrape.replace("/etc/prometheus/mutt-ca.pem", str(ca)))
        assert doors == 2 * len(TLS_VARIABLES)
        rules = [self._folder / ALERTS.name, self._folder / RECORDING.name]
        alerts = re.sub(r"\[\d+m\]", f"[{RANGE}]", ALERTS.read_text(encoding="utf-8"))
        rules[0].write_text(re.sub(r"\bfor: \d+[mh]$", "for: 1s", alerts, flags=re.MULTILINE))
        rules[1].write_text(RECORDING.read_text(encoding="utf-8"))
        whole = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            **yaml.safe_load(scrape),
        }
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(whole))
