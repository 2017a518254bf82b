"""WEBUI_API_KEY in rotation: both values open the door, and a promotion signs out nobody who has the new one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.secrets import Secrets
from mutt_appliance.secrets.source import SourceState
from mutt_appliance.telemetry.metrics import enable_pool_metrics
from mutt_appliance.telemetry.source_health import SourceBoard
from mutt_appliance.webui import service
from tests.support.children import ChildFactory
from tests.support.waiting import wait_until
from tests.webui.pages.conftest import get, sign_in

OLD, NEW = "webui-old", "webui-new"


@dataclass
class Site:
    """A web UI whose secrets can be changed."""

    child: Child
    url: str

    def renew(self, current: str, following: str = "") -> None:
        """As the supervisor does it at a reload."""
        self.child.secrets = Secrets(webui_api_key=current, webui_api_key_next=following)
        self.child.request_reload()

    def opens(self, key: str) -> bool:
        answer = requests.get(f"{self.url}/api/v1/rules", headers={"X-API-KEY": key}, timeout=10)
        return answer.status_code == 200

    def metrics(self) -> str:
        return requests.get(f"{self.url}/metrics", timeout=10).text


@pytest.fixture
def site(settings: Settings, child_for: ChildFactory) -> Iterator[Site]:
    enable_pool_metrics(settings.mutt_runtime_dir, "webui", 0)
    child = child_for("webui", settings, Secrets(webui_api_key=OLD, webui_api_key_next=NEW))
    thread = threading.Thread(target=service.run, args=(child,))
    thread.start()
    wait_until(lambda: any(r["kind"] == "ready" for r in child_for.reports(child)), message="it serves")
    yield Site(child, f"http://127.0.0.1:{settings.server_port_webui}")
    child.request_stop()
    thread.join(20)
    assert not thread.is_alive()


def test_both_keys_open_the_door_and_each_use_is_counted(site: Site) -> None:
    assert site.opens(OLD)
    assert site.opens(NEW)
    assert not site.opens("another")
    assert not site.opens("")
    for which in ("current", "next"):
        assert f'mutt_secrets_used_total{{secret="webui_api_key",which="{which}"}} 1.0' in site.metrics()


def test_a_session_lives_through_a_promotion_if_it_began_with_the_new_key(site: Site) -> None:
    with requests.Session() as early, requests.Session() as late:
        assert sign_in(early, site.url, OLD).status_code == 303
        assert sign_in(late, site.url, NEW).status_code == 303
        assert [get(each, site.url + "/api").status_code for each in (early, late)] == [200, 200]
        site.renew(NEW)
        assert [get(each, site.url + "/api").status_code for each in (early, late)] == [303, 200]
        assert not site.opens(OLD)


def test_without_a_next_key_an_empty_one_is_none(site: Site) -> None:
    site.renew(OLD)
    assert not site.opens("")
    assert not site.opens(NEW)


def test_health_and_metrics_tell_how_vault_is(site: Site, settings: Settings) -> None:
    board = SourceBoard(settings.mutt_runtime_dir)
    board.tell(SourceState("vault", "https://vault:8200", False, "Vault is sealed", 4, 0.0))
    wait_until(lambda: requests.get(f"{site.url}/health", timeout=10).status_code == 503, 15)
    health = requests.get(f"{site.url}/health", timeout=10).json()["processes"]["webui:0"]
    assert health["components"]["secrets"] == {"ok": False, "detail": "Vault is sealed"}
    assert {"mutt_vault_up 0.0", "mutt_secrets_version 4.0"} <= set(site.metrics().splitlines())
