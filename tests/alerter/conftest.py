"""An alerter in this process, on a real Redis and a real PostgreSQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from mutt_appliance.alerter.service import run
from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.prepare import prepare_database
from mutt_appliance.telemetry.metrics import enable_pool_metrics, exposition
from tests.conftest import MakeSettings, Stores
from tests.support.children import ChildFactory
from tests.support.waiting import wait_until

RULE = (
    "INSERT INTO alert_rules (match_string, match_type, prod_handling, dev_handling) "
    "VALUES ('{text}', '{kind}', 'Page_and_ticket', 'Log_only') RETURNING id"
)


class Alerter:
    """A running alerter with its stores."""

    def __init__(self, child: Child, stores: Stores) -> None:
        self.child = child
        self.settings = child.settings
        self.stores = stores
        self.keys = KeySpace(child.settings)
        self.client: redis.Redis = blocking_client(child.settings, Secrets(), "test")
        self.thread = threading.Thread(target=run, args=(child,))
        self.thread.start()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return self.stores.postgres.execute(statement, self.settings.db_name)

    def queue(self, *messages: str, first: int = 0, **fields: Any) -> None:
        for number, message in enumerate(messages, first):
            event = {
                "event_id": f"e{number}", "correlation_id": "c", "hostname": "r1", "message": message,
                "received_at": "2026-11-24T02:00:00.000001Z", "timestamp": "Nov 24 02:00:00", **fields,
            }  # fmt: skip
            self.client.lpush(self.keys.ingest_queue, json.dumps(event))

    def audited(self) -> list[str]:
        return [row[0] for row in self.sql("SELECT event_id FROM event_audit_log ORDER BY event_id")]

    def metric(self, name: str) -> float:
        text = exposition(self.settings.mutt_runtime_dir, "alerter").decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def stop(self) -> None:
        self.child.request_stop()
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.client.close()


StartAlerter = Callable[..., Alerter]


@pytest.fixture
def start(make_settings: MakeSettings, child_for: ChildFactory, stores: Stores) -> Iterator[StartAlerter]:
    """Starts an alerter; keyword arguments are settings."""
    running: list[Alerter] = []

    def make(*rules: tuple[str, str], **overrides: Any) -> Alerter:
        settings: Settings = make_settings(**{"alerter_heartbeat_interval": 0.2, **overrides})
        prepare_database(settings, Secrets(), "test", patience_secs=20, stop=threading.Event())
        for kind, text in rules:
            stores.postgres.execute(RULE.format(kind=kind, text=text), settings.db_name)
        enable_pool_metrics(settings.mutt_runtime_dir, "alerter", 0)
        alerter = Alerter(child_for("alerter", settings), stores)
        running.append(alerter)
        wait_until(
            lambda: alerter.metric("mutt_alerter_cache_rules_count") == len(rules), message="rules are loaded"
        )
        return alerter

    yield make
    for alerter in running:
        alerter.stop()
