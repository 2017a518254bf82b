"""An appliance that was installed from its package into a box."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.box import Box
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
KEY_FILE = "/etc/mutt/secrets/mutt.secrets"
RECORD = "/var/tmp/received.ndjson"
INGEST_URL = "http://127.0.0.1:8080/ingest"
WEBHOOK_PORT = 9900
START_SECS = 60.0
RATE = 500
SQL = """
import json, sys, psycopg2
connection = psycopg2.connect(host="/run/mutt/postgres", user="mutt_user", dbname="mutt_db", connect_timeout=10)
connection.autocommit = True
with connection.cursor() as cursor:
    cursor.execute(sys.argv[1])
    print(json.dumps(cursor.fetchall() if cursor.description else [], default=str))
"""
POST = """
import json, sys, urllib.request
key = next(line for line in open(sys.argv[2]) if line.startswith("INGEST_API_KEY=")).split("=", 1)[1].strip()
request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read(), {"X-API-KEY": key})
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


class Installed:
    """What tests do with it, all from inside the box."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def python(self, *arguments: str) -> list[str]:
        """Python with this project's tests, as root."""
        return ["env", f"PYTHONPATH={REPOSITORY}", sys.executable, *arguments]

    def start_webhook(self) -> subprocess.Popen[str]:
        """Moogsoft's stand-in; what it gets is in RECORD."""
        arguments = ("--port", str(WEBHOOK_PORT), "--record", RECORD)
        webhook = self.box.start(*self.python("-m", "tests.support.moogsoft", *arguments))
        assert webhook.stdout is not None
        assert "listening" in webhook.stdout.readline()
        return webhook

    def received(self) -> set[str]:
        """Alert ids that the webhook got."""
        done = self.box.run("cat", RECORD, check=False)
        return {alert for line in done.stdout.splitlines() for alert in json.loads(line)["alert_ids"]}

    def sql(self, statement: str) -> list[list[Any]]:
        """Run one statement in the embedded database; its rows."""
        rows: list[list[Any]] = json.loads(self.box.output(*self.python("-c", SQL, statement)))
        return rows

    def post(self, message: str, hostname: str = "core-1") -> str:
        """Send one event through the front door; its id."""
        event_id = str(uuid.uuid4())
        event = {
            "event_id": event_id,
            "timestamp": "2026-11-24T12:00:00Z",
            "hostname": hostname,
            "message": message,
        }
        self.box.run(*self.python("-c", POST, INGEST_URL, KEY_FILE), stdin=json.dumps(event))
        return event_id

    def status(self) -> dict[str, Any]:
        """What `mutt-ctl status --json` says; {} while nothing answers."""
        done = self.box.run("mutt-ctl", "status", "--json", check=False)
        try:
            document: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            return {}
        return document

    def pids(self) -> dict[str, int]:
        """Process id by name, the supervisor's and the loader's too."""
        document = self.status()
        children = {p["name"]: int(p["pid"]) for p in document.get("processes", []) if p["pid"]}
        return {
            **children,
            "supervisor": int(document.get("pid") or 0),
            "loader": int(self.box.show("MainPID")),
        }

    def serves(self) -> bool:
        """True when systemd and the appliance both say that all is well."""
        return (self.box.show("ActiveState"), self.box.show("SubState")) == ("active", "running") and bool(
            self.status().get("ok")
        )

    def wait_until_it_serves(self) -> None:
        """AssertionError with the journal's end when it does not."""
        try:
            wait_until(self.serves, START_SECS, "the appliance serves", 0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status()}\n{self.box.journal()[-6000:]}") from error

    def wait_for_change(self, of: str, before: int, timeout_secs: float = START_SECS) -> None:
        """Until the process `of` is another than `before` and all serve again."""
        wait_until(lambda: self.pids().get(of, 0) not in (0, before), timeout_secs, f"another {of}", 0.2)
        self.wait_until_it_serves()

    def strays(self) -> set[str]:
        """Processes of the user mutt that are not in the service's control group."""
        ours = self.box.run("pgrep", "-u", "mutt", check=False).stdout.split()
        of_service = self.box.run("systemctl", "status", "--no-pager", "--lines=0", "mutt", check=False)
        return {pid for pid in ours if not re.search(rf"[├└]─\s*{pid} ", of_service.stdout)}

    def under_load(self, name: str, action: Callable[[], None]) -> dict[str, Any]:
        """Do `action` under a steady stream; what the sender saw, with `missing`: acknowledged but not audited."""
        ids = f"/var/tmp/{name}.ids"
        sender = self.box.start(
            *self.python("-m", "tests.support.steady", "--url", INGEST_URL, "--key-file", KEY_FILE),
            *("--rate", str(RATE), "--hostname", name, "--ids", ids),
        )
        count = f"SELECT count(*) FROM event_audit_log WHERE hostname = '{name}'"
        wait_until(lambda: self.sql(count)[0][0] > RATE, 30, "the stream flows", 0.2)
        action()
        self.wait_until_it_serves()
        out, _ = sender.communicate(timeout=90)
        seen: dict[str, Any] = json.loads(out)
        wait_until(lambda: self.sql(count)[0][0] >= seen["acknowledged"], 60, "all is audited", 0.3)
        audited = self.sql(f"SELECT event_id FROM event_audit_log WHERE hostname = '{name}'")
        acknowledged = self.box.output("cat", ids).split()
        rows = [row[0] for row in audited]
        return {**seen, "missing": len(set(acknowledged) - set(rows)), "twice": len(rows) - len(set(rows))}
