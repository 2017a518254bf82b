"""What other servers show: a Redis and a PostgreSQL with TLS, and ones that are not what they should be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutt_appliance.doctor.certificates import check_certificates
from mutt_appliance.doctor.outside import check_moogsoft
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.doctor.presented import check_store_certificates
from tests.conftest import MakeSettings
from tests.support.certificates import Authority
from tests.support.moogsoft import Moogsoft
from tests.support.servers import PostgresServer, RedisServer, server_folder
from tests.support.waiting import free_port


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(server_folder())


@pytest.fixture(scope="module")
def redis_port(authority: Authority) -> Iterator[int]:
    issued = authority.issue("redis", "127.0.0.1", valid_days=90)
    port = free_port()
    options = (
        *("--tls-port", str(port), "--tls-cert-file", str(issued.cert), "--tls-key-file", str(issued.key)),
        *("--tls-ca-cert-file", str(authority.ca)),
    )
    server = RedisServer(options=options)
    try:
        server.start()
        yield port
    finally:
        server.close()


@pytest.fixture(scope="module")
def postgres_port(authority: Authority) -> Iterator[int]:
    issued = authority.issue("postgres", "127.0.0.1", valid_days=3)
    port = free_port()
    options = ("-c", "ssl=on", "-c", f"ssl_cert_file={issued.cert}", "-c", f"ssl_key_file={issued.key}")
    server = PostgresServer(port=port, options=options)
    try:
        server.start()
        yield port
    finally:
        server.close()


def test_the_certificates_of_redis_and_postgresql_are_judged(
    make_settings: MakeSettings, authority: Authority, redis_port: int, postgres_port: int
) -> None:
    settings = make_settings(
        redis_host="127.0.0.1",
        redis_port=redis_port,
        redis_ca_cert_path=authority.ca,
        db_host="127.0.0.1",
        db_port=postgres_port,
        db_tls_ca_cert_path=authority.ca,
    )
    found = {f.id: f for f in check_store_certificates(Patient(settings))}
    assert found["presented.redis"].status == "ok"
    assert f"127.0.0.1:{redis_port} is valid until" in found["presented.redis"].seen
    assert found["presented.database"].status == "warning"
    assert "in 2 days" in found["presented.database"].seen


def test_a_certificate_that_a_client_would_refuse_is_an_error(
    make_settings: MakeSettings, tmp_path: Path, redis_port: int, postgres_port: int
) -> None:
    stranger = Authority(tmp_path).ca
    settings = make_settings(
        redis_host="127.0.0.1",
        redis_port=redis_port,
        redis_ca_cert_path=stranger,
        db_host="127.0.0.1",
        db_port=postgres_port,
        db_tls_ca_cert_path=stranger,
    )
    for finding in check_store_certificates(Patient(settings)):
        assert finding.status == "error"
        assert "certificate verify failed" in finding.seen


def test_a_postgresql_without_tls_is_told(make_settings: MakeSettings, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(8)
                connection.sendall(b"N")

        thread = threading.Thread(target=refuse)
        thread.start()
        settings = make_settings(
            db_host=f"127.0.0.1:{server.getsockname()[1]}", db_tls_ca_cert_path=authority.ca
        )
        found = {f.id: f for f in check_store_certificates(Patient(settings))}
        thread.join(10)
    assert found["presented.redis"].status == "n/a"
    assert found["presented.database"].status == "error"
    assert "does not speak TLS" in found["presented.database"].seen


def test_the_webhook_is_trusted_by_its_own_file(make_settings: MakeSettings, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Moogsoft(context=authority.issue("moog", "127.0.0.1", valid_days=90).server_context()) as moogsoft:
        without = make_settings(moog_webhook_url=moogsoft.url)
        with_file = make_settings(moog_webhook_url=moogsoft.url, moog_tls_ca_cert_path=authority.ca)
        statuses = [
            {f.id: f for f in check_moogsoft(Patient(settings))}["moogsoft.tls"].status
            for settings in (without, with_file)
        ]
    assert statuses == ["error", "ok"]


def test_a_key_of_another_certificate_and_one_for_everybody_are_found(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    first, second = authority.issue("first", "a.example.net"), authority.issue("second", "b.example.net")
    second.key.chmod(0o644)
    settings = make_settings(
        ingest_tls_cert_path=first.cert,
        ingest_tls_key_path=second.key,
        webui_tls_cert_path=second.cert,
        webui_tls_key_path=second.key,
    )
    found = {f.id: f for f in check_certificates(Patient(settings))}
    assert found["certificates.ingest_tls_key_path"].status == "error"
    assert found["certificates.webui_tls_key_path"].status == "warning"
    assert "mode 0644" in found["certificates.webui_tls_key_path"].seen
    assert found["certificates.ingest_tls_cert_path.names"].status == "n/a"
