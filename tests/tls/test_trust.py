"""Whom connections of ours trust."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from mutt_appliance.tls import trust
from mutt_appliance.tls.trust import client_context, system_ca_bundle, verify_message
from tests.support.certificates import Authority


def test_the_authorities_of_this_machine_are_those_of_its_openssl() -> None:
    def serials(context: ssl.SSLContext) -> set[object]:
        return {each["serialNumber"] for each in context.get_ca_certs()}

    assert serials(client_context()) == serials(ssl.create_default_context())


def test_a_program_built_on_another_machine_finds_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its OpenSSL looks in folders that are not there."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    assert client_context().cert_store_stats()["x509_ca"] > 0


def test_without_a_bundle_openssl_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trust, "SYSTEM_CA_BUNDLES", (tmp_path / "none",))
    assert system_ca_bundle() == "system"
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path).ca))
    assert client_context().cert_store_stats()["x509_ca"] == 1


def test_a_file_of_ones_own_is_all_that_is_trusted(tmp_path: Path) -> None:
    assert client_context(Authority(tmp_path).ca).cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("with_file", [True, False])
def test_every_context_verifies_certificate_and_name_and_speaks_tls_1_2_at_least(
    tmp_path: Path, with_file: bool
) -> None:
    context = client_context(Authority(tmp_path).ca if with_file else None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_what_a_failure_says_is_found_below_the_errors_around_it() -> None:
    inner = ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca")
    inner.reason = "TLSV1_ALERT_UNKNOWN_CA"
    outer = ConnectionError("broken")
    outer.__cause__ = inner
    assert verify_message(outer) == "tlsv1 alert unknown ca"
    assert verify_message(ConnectionResetError()) == ""
    assert verify_message(socket.gaierror(-2, "Name or service not known")) == ""
