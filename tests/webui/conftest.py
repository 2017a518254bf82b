"""A web UI process on real stores with the whole schema, in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.prepare import prepare_database
from mutt_appliance.telemetry.metrics import enable_pool_metrics
from mutt_appliance.webui.service import run
from tests.conftest import MakeSettings, Stores
from tests.support.children import TEST_SECRETS, ChildFactory
from tests.support.waiting import free_port, wait_until

ANSWER_SECS = 10


@dataclass(frozen=True)
class Api:
    """A caller of the API with one key."""

    url: str
    key: str = TEST_SECRETS.webui_api_key

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Call `path` below /api/v1 with `body` as JSON."""
        headers = {"X-API-KEY": self.key, **options.pop("headers", {})}
        return requests.request(
            method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=ANSWER_SECS, **options
        )

    def named(self, name: str, role: str) -> Api:
        """Another caller, with a new key of that name and role."""
        answer = self("POST", "/keys", {"name": name, "role": role})
        assert answer.status_code == 201, answer.text
        return Api(self.url, answer.json()["key"])


def prepared(settings: Settings) -> Settings:
    """The same settings; their database has the whole schema."""
    prepare_database(settings, Secrets(), "test", patience_secs=20, stop=threading.Event())
    return settings


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return prepared(make_settings())


@contextmanager
def serving(settings: Settings, child_for: ChildFactory) -> Iterator[str]:
    """A web UI process, in a thread; where it is."""
    enable_pool_metrics(settings.mutt_runtime_dir, "webui", 0)
    child = child_for("webui", settings)
    thread = threading.Thread(target=run, args=(child,))
    thread.start()
    wait_until(lambda: any(r["kind"] == "ready" for r in child_for.reports(child)), message="it serves")
    yield f"http://127.0.0.1:{settings.server_port_webui}"
    child.request_stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def url(settings: Settings, child_for: ChildFactory) -> Iterator[str]:
    """Where the web UI is."""
    with serving(settings, child_for) as where:
        yield where


@pytest.fixture
def second_url(make_settings: MakeSettings, url: str, child_for: ChildFactory) -> Iterator[str]:
    """Where another web UI on the same stores is."""
    with serving(make_settings(server_port_webui=free_port()), child_for) as where:
        assert where != url
        yield where


@pytest.fixture
def api(url: str) -> Api:
    """The administrator's caller."""
    return Api(url)


@pytest.fixture
def history(settings: Settings, stores: Stores) -> Any:
    """What config_audit_log says: (who, action, entity, which) of every change."""

    def read() -> list[tuple[Any, ...]]:
        return stores.postgres.execute(
            "SELECT changed_by, action, entity, entity_id FROM config_audit_log ORDER BY id", settings.db_name
        )

    return read
