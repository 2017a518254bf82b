"""A forwarder in the test's own event loop, against a real Redis and a stand-in for Moogsoft."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.housekeeping import end
from mutt_appliance.forwarder.service import forward
from mutt_appliance.process import Child
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.metrics import ForwarderMetrics, enable_pool_metrics
from tests.conftest import MakeSettings, Stores
from tests.support.children import TEST_SECRETS, ChildFactory
from tests.support.moogsoft import OK, Answer, Moogsoft, Received

ALERT_QUEUE = "mutt:alert_queue"
RETRY_SET = "mutt:retry:moog"
DEAD_LETTERS = "mutt:dlq:moog"
WAIT_SECS = 15.0


@pytest.fixture
def database_name() -> str:
    """None of these tests has to do with PostgreSQL."""
    return "none"


@pytest.fixture
def moogsoft() -> Iterator[Moogsoft]:
    """The stand-in, which wants the test's key."""
    with Moogsoft(api_key=TEST_SECRETS.moog_api_key) as server:
        yield server


@pytest.fixture
def store(stores: Stores) -> Iterator[redis.Redis]:
    """A client of the session's Redis."""
    with stores.redis.client() as client:
        yield client


@pytest.fixture
def settings_for(make_settings: MakeSettings, moogsoft: Moogsoft) -> Callable[..., Settings]:
    """Settings with a high rate, short delays and the stand-in as the receiver; arguments override."""

    def make(**overrides: Any) -> Settings:
        quick: dict[str, Any] = {
            "moog_webhook_url": moogsoft.url,
            "moog_rate_limit": 100_000,
            "moog_retry_base_delay": 0.1,
            "moog_retry_max_delay": 0.4,
            "moog_webhook_timeout": 10.0,
            "moog_heartbeat_interval": 0.3,
            "moog_janitor_timeout": 1.0,
            "drain_timeout": 4.0,
        }
        return make_settings(**{**quick, **overrides})

    return make


class Running:
    """A forwarder that runs as a task."""

    def __init__(self, child: Child, task: asyncio.Task[None]) -> None:
        self.child = child
        self._task = task
        self.killed = False

    async def stop(self) -> None:
        """As SIGTERM: returns when it has drained."""
        self.child.request_stop()
        await asyncio.wait_for(self._task, WAIT_SECS)

    async def kill(self) -> None:
        """As SIGKILL: nothing is settled and nobody unregisters."""
        self.killed = True
        await end([self._task])
        # Its threads would have ended with the process.
        self.child.stopping.set()

    def failure(self) -> BaseException | None:
        """What it broke down with, None while it runs or when it ended well."""
        return self._task.exception() if self._task.done() and not self._task.cancelled() else None

    def health(self, component: str) -> tuple[bool, str]:
        """What its health board says of `component`."""
        settings, spec = self.child.settings, self.child.spec
        path = Path(settings.mutt_runtime_dir) / "health" / f"{spec.role}-{spec.index}.json"
        if not path.exists():
            return False, "nothing published"
        found = json.loads(path.read_text())["components"].get(component, {"ok": False, "detail": "unknown"})
        return found["ok"], found["detail"]


RunForwarder = Callable[..., Any]


@pytest.fixture
def forwarder(child_for: ChildFactory) -> RunForwarder:
    """`async with forwarder(settings, index=1) as running`: a forwarder, stopped at the end if it still runs."""

    @asynccontextmanager
    async def run(
        settings: Settings, index: int = 0, secrets: Secrets = TEST_SECRETS
    ) -> AsyncIterator[Running]:
        child = child_for("forwarder", settings, secrets, index=index)
        enable_pool_metrics(settings.mutt_runtime_dir, "forwarder", index)
        running = Running(child, asyncio.create_task(forward(child, ForwarderMetrics())))
        try:
            yield running
            if not running.killed:
                await running.stop()
        except AssertionError as failed:
            # A forwarder that broke down is the reason, not what it did not do.
            raise running.failure() or failed from failed
        finally:
            await running.kill()

    return run


def alert(number: int, **fields: Any) -> dict[str, Any]:
    """An alert as the alerter makes it."""
    return {
        "alert_id": f"alert-{number}",
        "event_id": f"event-{number}",
        "correlation_id": f"correlation-{number}",
        "rule_id": 7,
        "hostname": "router1",
        "team": "NETO",
        "severity": 3,
        "handling": "Page_and_ticket",
        "environment": "prod",
        "message": f"%LINK-3-UPDOWN: Interface GigabitEthernet0/{number}, changed state to down",
        "received_at": "2026-11-24T02:00:00.000000Z",
        "event": {"timestamp": "2026-11-24T01:59:59Z", "hostname": "router1"},
        **fields,
    }


def push(store: redis.Redis, *alerts: dict[str, Any] | bytes) -> None:
    """Queue alerts, or raw bytes, as the alerter would."""
    store.lpush(ALERT_QUEUE, *(a if isinstance(a, bytes) else json.dumps(a).encode() for a in alerts))


async def eventually(condition: Callable[[], object], what: str, timeout_secs: float = WAIT_SECS) -> None:
    """Wait inside the event loop until `condition` is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_secs
    while not condition():
        assert loop.time() < deadline, f"not within {timeout_secs} s: {what}"
        await asyncio.sleep(0.01)


def places(store: redis.Redis) -> dict[str, int]:
    """How many alerts lie where; processing lists are added up."""
    lists = [k for k in store.keys("mutt:processing:moog:*") if store.type(k) == b"list"]
    return {
        "queue": store.llen(ALERT_QUEUE),
        "held": sum(store.llen(key) for key in lists),
        "retry": store.zcard(RETRY_SET),
        "dead": store.llen(DEAD_LETTERS),
    }


def waiting_alerts(store: redis.Redis) -> list[dict[str, Any]]:
    """Alerts that wait for their next attempt, the next one first."""
    entries: Any = store.zrange(RETRY_SET, 0, -1)
    return [json.loads(entry) for entry in entries]


NOWHERE = {"queue": 0, "held": 0, "retry": 0, "dead": 0}


def dead_letters(store: redis.Redis) -> list[dict[str, Any]]:
    """The dead letters, newest first."""
    return [json.loads(entry) for entry in store.lrange(DEAD_LETTERS, 0, -1)]


def failing_first(moogsoft: Moogsoft, alert_id: str, *answers: Answer) -> None:
    """The first requests with `alert_id` get `answers`, every other one 200."""
    turns = iter(answers)

    def answer(request: Received) -> Answer:
        return next(turns, OK) if alert_id in request.alert_ids else OK

    moogsoft.answer = answer
