"""The way of an event through a running appliance: POST /ingest, its own stores, a webhook receiver."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tests.conftest import Stores
from tests.support.appliance import Appliance
from tests.support.moogsoft import Moogsoft
from tests.support.rules import add_rules, reload_rules, rule
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import wait_until

MATCHED = "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down"
PASS_SECS = 15.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What the ingestor said."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Line:
    """The way of an event through a running appliance, with what is needed to watch it."""

    appliance: Appliance
    redis_server: RedisServer
    redis: redis.Redis
    postgres: PostgresServer
    database: str
    moogsoft: Moogsoft

    def post(self, body: object, headers: Mapping[str, str] | None = None, *, key: str | None = "") -> Answer:
        """POST /ingest; bytes go as they are, anything else as JSON. `key` None sends none, "" the right one."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = self.appliance.api_key if key == "" else key
        request = urllib.request.Request(  # noqa: S310
            self.appliance.url(), data=data, method="POST", headers=dict(headers or {})
        )
        if given is not None:
            request.add_header("X-API-KEY", given)
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=30, context=self.appliance.context
            ) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)

    def raw(self, method: str, path: str) -> int:
        """Status of a request of any kind with the right key."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.appliance.ports["SERVER_PORT_INGESTOR"], timeout=30
        )
        try:
            connection.request(method, path, headers={"X-API-KEY": self.appliance.api_key})
            return connection.getresponse().status
        finally:
            connection.close()

    def say(self, *parts: bytes, listen: bool = True) -> bytes:
        """Send `parts` to the ingestor one after the other, each as a packet; what it answers at first."""
        address = ("127.0.0.1", self.appliance.ports["SERVER_PORT_INGESTOR"])
        with socket.create_connection(address, timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                connection.sendall(part)
            return connection.recv(4096) if listen else b""

    def head(self, *lines: str) -> bytes:
        """A POST up to its body, with the right key and these header lines."""
        start = ("POST /ingest HTTP/1.1", "Host: mutt", f"X-API-KEY: {self.appliance.api_key}")
        return "\r\n".join([*start, *lines, "", ""]).encode()

    def rows(self, event_id: str) -> list[dict[str, Any]]:
        """Audit rows of an event."""
        sql = f"SELECT to_jsonb(e) FROM event_audit_log AS e WHERE event_id = '{event_id}'"
        return [row for (row,) in self.postgres.execute(sql, self.database)]  # type: ignore[misc]

    def delivered(self, event_id: str) -> list[dict[str, Any]]:
        """What the receiver accepted for an event."""
        return [
            event
            for request in self.moogsoft.accepted()
            for event in request.events
            if event["custom_info"].get("event_id") == event_id
        ]

    def dead(self, stage: str) -> list[dict[str, Any]]:
        """Dead letters of a stage, newest first."""
        return [json.loads(entry) for entry in self.redis.lrange(f"mutt:dlq:{stage}", 0, -1)]

    def wait_for_dead(self, stage: str, holding: str) -> dict[str, Any]:
        """The dead letter that has this text in it."""
        found = wait_until(
            lambda: [entry for entry in self.dead(stage) if holding in json.dumps(entry)],
            PASS_SECS,
            f"a dead letter of the {stage} with {holding!r}; {self.appliance.log_tail()}",
        )
        return found[0]

    def good_event_passes(self) -> None:
        """Send an event that is as it should be; returns when the webhook has it and the audit log one row."""
        event_id = new_id("good")
        answer = self.post(event(event_id=event_id))
        assert answer.status == 200, answer
        self.wait_delivered(event_id)
        assert len(self.rows(event_id)) == 1

    def wait_delivered(self, event_id: str) -> dict[str, Any]:
        """What the webhook got for an event, as soon as it has it."""
        message = f"{event_id} at the webhook; {self.appliance.log_tail()}"
        return wait_until(lambda: self.delivered(event_id), PASS_SECS, message)[0]


def _answer(response: Any) -> Answer:
    return Answer(response.status, dict(response.headers.items()), json.loads(response.read()))


def new_id(kind: str) -> str:
    """An id that no other event of this run has."""
    return f"{kind}-{next(_numbers)}"


def event(**fields: object) -> dict[str, Any]:
    """An event that a rule matches and that is forwarded."""
    return {
        "timestamp": "2026-11-24T02:00:00Z",
        "hostname": "core-1",
        "message": MATCHED,
        "syslog_severity": 3,
        **fields,
    }


@contextmanager
def running_line(
    stores: Stores, *, ca: Path | None = None, redis_folder: str = "", **env: str
) -> Iterator[Line]:
    """An appliance with these variables on a Redis and a database of its own, with one rule.

    `ca`: who issued the certificates that the variables name. In a given `redis_folder` Redis writes every second.
    """
    database = f"line_{next(_numbers)}"
    with ExitStack() as stack:
        server = RedisServer(
            Path(redis_folder) if redis_folder else None, appendfsync="everysec" if redis_folder else "always"
        )
        stack.callback(server.close)
        server.start()
        stack.callback(stores.postgres.execute, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        moogsoft = stack.enter_context(Moogsoft())
        addresses = {
            "REDIS_HOST": server.address,
            "DB_HOST": stores.postgres.address,
            "DB_PORT": str(stores.postgres.port),
            "DB_NAME": database,
            "MOOG_WEBHOOK_URL": moogsoft.url,
            "MOOG_RETRY_BASE_DELAY": "0.1",
            "MOOG_RATE_LIMIT": "1000",
        }
        appliance = stack.enter_context(Appliance({**addresses, **env}, ca=ca))
        appliance.start_and_wait()
        add_rules(stores.postgres, database, [rule("%LINK-3-UPDOWN", "Page_and_ticket")])
        reload_rules(appliance, int(env.get("ALERTER_WORKERS", "1")))
        client = stack.enter_context(server.client())
        yield Line(appliance, server, client, stores.postgres, database, moogsoft)
        assert appliance.terminate() == 0, appliance.log_tail()
        wait_until(lambda: not appliance.leftovers(), 5, "nothing is left running")
