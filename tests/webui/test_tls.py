"""The web UI's door with TLS, and Prometheus over https."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.secrets import Secrets
from mutt_appliance.webui import prometheus
from mutt_appliance.webui.sessions import COOKIE
from tests.conftest import MakeSettings
from tests.support.certificates import Authority, Issued
from tests.support.children import TEST_SECRETS, ChildFactory
from tests.support.prometheus_stub import PrometheusStub
from tests.support.tls_client import ask, old, trusting
from tests.support.waiting import wait_until
from tests.webui.conftest import serving


@pytest.fixture
def shown(authority: Authority) -> Issued:
    return authority.issue("webui", "127.0.0.1")


@pytest.fixture
def settings(make_settings: MakeSettings, shown: Issued) -> Settings:
    return make_settings(webui_tls_cert_path=shown.cert, webui_tls_key_path=shown.key)


@pytest.fixture
def port(settings: Settings, child_for: ChildFactory) -> Iterator[int]:
    with serving(settings, child_for):
        yield settings.server_port_webui


def test_the_session_cookie_is_for_tls_only_and_other_ports_of_the_host_stay_as_they_are(
    port: int, authority: Authority
) -> None:
    """HSTS would be for the host: a browser would ask every port of it for https, those without TLS too."""
    form = f"api_key={TEST_SECRETS.webui_api_key}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    said = ask(port, trusting(authority.ca), "POST", "/sign-in", form, headers)
    assert said.status == 303
    cookie = said.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert "Strict-Transport-Security" not in said.headers


def test_plain_http_and_old_tls_are_refused(port: int, authority: Authority) -> None:
    for context in (None, old(authority.ca)):
        with pytest.raises(OSError):  # noqa: PT011 - what a client sees depends on its own OpenSSL
            ask(port, context)
    metrics = ask(port, trusting(authority.ca), path="/metrics").body.decode()
    assert 'mutt_tls_handshakes_total{reason="plain_http",result="failed"} 1.0' in metrics
    assert 'mutt_tls_handshakes_total{reason="old_protocol",result="failed"} 1.0' in metrics
    assert 'mutt_tls_certificate_expiry_timestamp_seconds{certificate="webui"}' in metrics


def test_a_reload_renews_the_certificate(
    settings: Settings, child_for: ChildFactory, authority: Authority, shown: Issued
) -> None:
    children: list[Child] = []

    def remembered(role: str, of: Settings, secrets: Secrets = TEST_SECRETS, *, index: int = 0) -> Child:
        children.append(child_for(role, of, secrets, index=index))
        return children[-1]

    remembered.reports = child_for.reports  # type: ignore[attr-defined]
    later = Authority(authority.folder, "later")
    with serving(settings, remembered):  # type: ignore[arg-type]
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(settings.server_port_webui, trusting(later.ca))
        shown.replace_with(later.issue("renewed", "127.0.0.1"))
        children[0].request_reload()
        wait_until(
            lambda: any(r["kind"] == "reload" and r["ok"] for r in child_for.reports(children[0])),
            message="it is told",
        )
        assert ask(settings.server_port_webui, trusting(later.ca)).status == 200


def test_prometheus_over_https_is_trusted_by_the_authorities_of_this_machine(
    authority: Authority, shown: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PrometheusStub(up="1", context=shown.server_context()) as stub:
        with pytest.raises(prometheus.PrometheusError, match="certificate verify failed: unable to get"):
            asyncio.run(prometheus.query(stub.url, "up"))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        prometheus._trusted.cache_clear()
        try:
            assert asyncio.run(prometheus.query(stub.url, "up"))["status"] == "success"
        finally:
            prometheus._trusted.cache_clear()
