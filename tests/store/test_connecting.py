"""What libpq is given, and which password, certificate and server let us in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.config.addresses import Address
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import (
    Connector,
    Which,
    connect,
    connection_parameters,
    longest_wait_secs,
    passwords,
    said_by_server,
)
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.tls.trust import SYSTEM_CA_BUNDLES
from tests.support.certificates import Authority, Issued
from tests.support.servers import PostgresServer
from tests.support.waiting import free_port

MakeSettings = Callable[..., Settings]
AWKWARD = 'p\'w\\ "x" = %s;ü host=evil'


class TestParameters:
    """What libpq is given."""

    def given(self, settings: Settings, password: str = "") -> dict[str, object]:
        return connection_parameters(settings, settings.db_hosts, password, "x")

    def test_a_socket_needs_no_tls(self, make_settings: MakeSettings) -> None:
        assert "sslmode" not in self.given(make_settings())

    def test_a_host_is_verified_against_the_ca(self, make_settings: MakeSettings) -> None:
        parameters = self.given(make_settings(db_host="db1,db2", db_tls_ca_cert_path="/etc/ca.pem"))
        assert (parameters["sslmode"], parameters["sslrootcert"]) == ("verify-full", "/etc/ca.pem")
        assert parameters["target_session_attrs"] == "read-write"

    def test_without_a_ca_the_system_s_are_taken(self, make_settings: MakeSettings) -> None:
        parameters = self.given(make_settings(db_host="db1"))
        assert parameters["sslrootcert"] in {"system", *map(str, SYSTEM_CA_BUNDLES)}
        assert parameters["sslmode"] == "verify-full"

    def test_without_tls_nothing_looks_like_it(self, make_settings: MakeSettings) -> None:
        parameters = self.given(make_settings(db_host="db1", db_tls_enabled=False))
        assert {name: value for name, value in parameters.items() if name.startswith("ssl")} == {
            "sslmode": "disable"
        }

    def test_a_client_certificate_is_ours_or_none(self, make_settings: MakeSettings) -> None:
        ours = make_settings(
            db_host="db1", db_tls_client_cert_path="/etc/c.pem", db_tls_client_key_path="/etc/c.key"
        )
        assert (self.given(ours)["sslcert"], self.given(ours)["sslkey"]) == ("/etc/c.pem", "/etc/c.key")
        assert self.given(make_settings(db_host="db1"))["sslcertmode"] == "disable"

    def test_each_host_has_its_port(self, make_settings: MakeSettings) -> None:
        parameters = self.given(make_settings(db_host="db1, db2:5433,[2001:db8::1]:5434", db_port=6000))
        assert (parameters["host"], parameters["port"]) == ("db1,db2,2001:db8::1", "6000,5433,5434")

    def test_no_password_means_none(self, make_settings: MakeSettings) -> None:
        assert "password" not in self.given(make_settings())


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        (Secrets(), [("current", "")]),
        (Secrets(db_pass="a"), [("current", "a")]),
        (Secrets(db_pass="a", db_pass_next="b"), [("current", "a"), ("next", "b")]),
        (Secrets(db_pass_next="b"), [("next", "b")]),
        (Secrets(db_pass="a", db_pass_next="a"), [("current", "a")]),
    ],
)
def test_passwords_are_tried_in_order_and_none_in_vain(
    secrets: Secrets, expected: list[tuple[str, str]]
) -> None:
    assert list(passwords(secrets)) == expected


@pytest.mark.parametrize(
    ("text", "by_server"),
    [
        ('connection to server at "db1", port 5432 failed: FATAL:  password authentication failed', True),
        ('connection to server at "db1" (::1), port 5432 failed: ВАЖНО:  пользователь "x" не прошёл', True),
        ('connection to server at "db1", port 5432 failed: Connection refused\n\tIs the server …?', False),
        ('connection to server at "db1", port 5432 failed: timeout expired', False),
        ('connection to server at "db1", port 5432 failed: session is read-only', False),
        ('could not translate host name "db1" to address: Name or service not known', False),
        (
            'connection to server at "a", port 1 failed: timeout expired\n'
            'connection to server at "b", port 1 failed: FATAL:  password authentication failed',
            True,
        ),
    ],
)
def test_a_refusal_by_the_server_is_told_from_a_failure_to_reach_it(text: str, by_server: bool) -> None:
    assert said_by_server(text) is by_server


def test_the_longest_wait_counts_every_host(make_settings: MakeSettings) -> None:
    one = make_settings(db_connect_timeout=5, db_statement_timeout=15)
    two = make_settings(db_host="a,b", db_connect_timeout=5, db_statement_timeout=15)
    assert longest_wait_secs(two) - longest_wait_secs(one) == 5
    assert longest_wait_secs(one) < one.liveness_timeout


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("ca")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    return Authority(folder)


@pytest.fixture(scope="module")
def client_certificate(authority: Authority) -> Issued:
    issued = authority.issue("client", "client.test", common_name="cert_user")
    # The files of a server's user; ours are read by the user of the tests.
    key = issued.key.with_name("client-ours.key")
    key.write_bytes(issued.key.read_bytes())
    key.chmod(0o600)
    return Issued(issued.cert, key)


@pytest.fixture(scope="module")
def strict(authority: Authority) -> Iterator[PostgresServer]:
    """A PostgreSQL on TLS where pw_user needs a password and cert_user a certificate of the authority."""
    server = PostgresServer(port=free_port())
    issued = authority.issue("server", "127.0.0.1", "localhost")
    rules = server.folder / "hba.conf"
    rules.write_text(
        "local all all trust\n"
        "hostssl all pw_user 127.0.0.1/32 scram-sha-256\n"
        "hostssl all cert_user 127.0.0.1/32 cert\n"
        "hostssl all mutt_user 127.0.0.1/32 trust\n"
    )
    rules.chmod(0o644)
    options = {
        "ssl": "on",
        "ssl_key_file": issued.key,
        "ssl_cert_file": issued.cert,
        "ssl_ca_file": authority.ca,
        "hba_file": rules,
    }
    server._options = tuple(part for name, value in options.items() for part in ("-c", f"{name}={value}"))
    try:
        server.start()
        server.execute("CREATE ROLE pw_user LOGIN")
        server.execute("CREATE ROLE cert_user LOGIN")
        yield server
    finally:
        server.close()


@pytest.fixture
def for_user(
    strict: PostgresServer, authority: Authority, make_settings: MakeSettings
) -> Callable[..., Settings]:
    """Settings for a user of the strict server."""

    def make(user: str, **overrides: object) -> Settings:
        return make_settings(
            **{
                "db_host": "127.0.0.1",
                "db_port": strict.port,
                "db_name": "postgres",
                "db_user": user,
                "db_tls_ca_cert_path": authority.ca,
                **overrides,
            }
        )

    return make


def set_password(server: PostgresServer, password: str) -> None:
    with contextlib.closing(server.connect()) as conn, conn.cursor() as cursor:
        cursor.execute("ALTER ROLE pw_user PASSWORD %s", (password,))


def test_a_password_may_hold_any_character(strict: PostgresServer, for_user: Callable[..., Settings]) -> None:
    set_password(strict, AWKWARD)
    conn = connect(for_user("pw_user"), Secrets(db_pass=AWKWARD), "test")
    assert conn.info.user == "pw_user"
    assert AWKWARD not in f"{conn!r} {conn.dsn}"
    conn.close()


def test_the_next_password_is_tried_when_the_current_one_is_refused_and_remembered(
    strict: PostgresServer, for_user: Callable[..., Settings]
) -> None:
    used: list[Which] = []
    set_password(strict, "new")
    connector = Connector(
        for_user("pw_user"), Secrets(db_pass="old", db_pass_next="new"), "test", used.append
    )
    connector.connect().close()
    assert used == ["next"]
    log = strict.folder / "server.log"
    before = log.read_text().count("password authentication failed")
    connector.connect().close()
    assert log.read_text().count("password authentication failed") == before, "the old one was tried again"
    set_password(strict, "old")
    connector.connect().close()
    assert used == ["next", "next", "current"]


def test_both_passwords_refused_is_told_once_and_without_them(
    strict: PostgresServer, for_user: Callable[..., Settings]
) -> None:
    set_password(strict, "right")
    secrets = Secrets(db_pass="wr0ng-one", db_pass_next="wr0ng-two")
    with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
        connect(for_user("pw_user"), secrets, "test")
    assert "wr0ng" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_client_certificate_lets_its_user_in(
    for_user: Callable[..., Settings], client_certificate: Issued
) -> None:
    settings = for_user(
        "cert_user",
        db_tls_client_cert_path=client_certificate.cert,
        db_tls_client_key_path=client_certificate.key,
    )
    connect(settings, Secrets(), "test").close()
    with pytest.raises(StoreUnavailable, match="certificate"):
        connect(for_user("cert_user"), Secrets(), "test")


def test_a_key_that_others_may_read_is_refused_with_the_way_out(
    for_user: Callable[..., Settings], client_certificate: Issued, tmp_path: Path
) -> None:
    loose = tmp_path / "loose.key"
    loose.write_bytes(client_certificate.key.read_bytes())
    loose.chmod(0o644)
    settings = for_user(
        "cert_user", db_tls_client_cert_path=client_certificate.cert, db_tls_client_key_path=loose
    )
    with pytest.raises(StoreUnavailable, match=r"loose\.key.*0600"):
        connect(settings, Secrets(), "test")


def test_without_tls_a_server_that_asks_for_it_refuses(for_user: Callable[..., Settings]) -> None:
    with pytest.raises(StoreUnavailable, match="no encryption"):
        connect(for_user("mutt_user", db_tls_enabled=False), Secrets(), "test")


def running() -> Iterator[PostgresServer]:
    server = PostgresServer(port=free_port())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def other() -> Iterator[PostgresServer]:
    """A server that can be made read-only."""
    yield from running()


@pytest.fixture(scope="module")
def writable() -> Iterator[PostgresServer]:
    yield from running()


@pytest.fixture
def both(other: PostgresServer, writable: PostgresServer, make_settings: MakeSettings) -> Iterator[Settings]:
    other.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    other.execute("SELECT pg_reload_conf()")
    yield make_settings(
        db_host=f"127.0.0.1:{other.port},127.0.0.1",
        db_port=writable.port,
        db_name="postgres",
        db_tls_enabled=False,
        db_connect_timeout=2,
    )
    other.execute("ALTER SYSTEM RESET default_transaction_read_only")
    other.execute("SELECT pg_reload_conf()")


def test_of_several_hosts_the_writable_one_is_taken_and_asked_first_from_then_on(
    both: Settings, writable: PostgresServer, other: PostgresServer
) -> None:
    connector = Connector(both, Secrets(), "test")
    first = connector.connect()
    assert first.info.port == writable.port
    other.pause()
    try:
        # Were the frozen one asked first, this would take DB_CONNECT_TIMEOUT.
        second = connector.connect()
    finally:
        other.resume()
    assert second.info.port == writable.port
    assert connector._hosts[0] == Address("127.0.0.1", writable.port)
    connector.distrust(second)
    assert connector._hosts[-1] == Address("127.0.0.1", writable.port)
    for conn in (first, second):
        conn.close()


def test_when_no_host_takes_writes_each_says_why(
    both: Settings, writable: PostgresServer, other: PostgresServer
) -> None:
    writable.stop()
    try:
        with pytest.raises(StoreUnavailable) as caught:
            connect(both, Secrets(), "test")
    finally:
        writable.start()
    text = str(caught.value)
    assert f"127.0.0.1:{other.port} or 127.0.0.1:{writable.port}" in text
    assert "session is read-only" in text
    assert "Connection refused" in text
