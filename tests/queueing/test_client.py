"""How a client connects: passwords, certificates, a server that is not the master."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import (
    RedisConnectionError,
    RedisError,
    ResponseError,
    async_client,
    blocking_client,
)
from mutt_appliance.queueing.errors import has_code
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.metrics import secrets_in_use
from tests.support.certificates import Authority
from tests.support.servers import RedisServer
from tests.support.waiting import free_port


@pytest.fixture
def server() -> Iterator[RedisServer]:
    made = RedisServer(port=free_port(), options=("--user", "admin", "on", ">admin", "~*", "&*", "+@all"))
    made.start()
    yield made
    made.close()


def settings_of(server: RedisServer, **overrides: object) -> Settings:
    """Settings of a client on TCP without TLS."""
    base = {"redis_host": "127.0.0.1", "redis_port": server.port, "redis_tls_enabled": False}
    return Settings.model_validate({**base, **overrides})


def in_use() -> dict[str, float]:
    """Which of the passwords of Redis this process uses, by the metric."""
    (family,) = secrets_in_use()._gauge.collect()
    return {
        sample.labels["which"]: sample.value
        for sample in family.samples
        if sample.labels["secret"] == "redis_pass"
    }


def take_passwords(server: RedisServer, *passwords: str) -> None:
    """Let the server take these and no others; whoever is connected is thrown out."""
    admin = redis.Redis(
        unix_socket_path=str(server.socket_path), username="admin", password="admin", protocol=2
    )
    with admin:
        admin.acl_setuser(
            "default", enabled=True, reset_passwords=True, passwords=[f"+{p}" for p in passwords]
        )
        admin.client_kill_filter(_type="normal", skipme=True)


@pytest.mark.parametrize("place", ["TCP", "Unix socket"])
def test_the_next_password_is_tried_when_the_current_one_is_refused(server: RedisServer, place: str) -> None:
    take_passwords(server, "new")
    settings = settings_of(server, redis_host="127.0.0.1" if place == "TCP" else str(server.socket_path))
    client = blocking_client(settings, Secrets(redis_pass="old", redis_pass_next="new"), "test")
    assert client.ping()
    assert in_use() == {"current": 0, "next": 1}


@pytest.mark.parametrize("place", ["TCP", "Unix socket"])
def test_an_async_client_tries_the_next_password_as_well(server: RedisServer, place: str) -> None:
    take_passwords(server, "new")
    host = "127.0.0.1" if place == "TCP" else str(server.socket_path)

    async def main() -> None:
        secrets = Secrets(redis_pass="old", redis_pass_next="new")
        client = async_client(settings_of(server, redis_host=host), secrets, "test")
        assert await client.set("a", "1")
        await client.connection_pool.disconnect()

    asyncio.run(main())


def test_two_wrong_passwords_are_an_error_that_names_none(server: RedisServer) -> None:
    take_passwords(server, "another")
    client = blocking_client(settings_of(server), Secrets(redis_pass="old", redis_pass_next="new"), "test")
    with pytest.raises(RedisConnectionError) as raised:
        client.ping()
    assert "WRONGPASS" in f"{raised.value.status_code} {raised.value}"


def test_a_whole_rotation_needs_no_new_client(server: RedisServer) -> None:
    secrets = [Secrets(redis_pass="old")]
    take_passwords(server, "old")
    client = blocking_client(settings_of(server), lambda: secrets[0], "test")
    assert client.ping()
    secrets[0] = Secrets(redis_pass="old", redis_pass_next="new")
    for accepted in (("old", "new"), ("new",)):
        take_passwords(server, *accepted)
        assert _second_try(client)
    assert in_use() == {"current": 0, "next": 1}
    secrets[0] = Secrets(redis_pass="new")
    take_passwords(server, "new")
    assert _second_try(client)
    assert in_use() == {"current": 1, "next": 0}


def _second_try(client: redis.Redis) -> bool:
    """A connection that the server closed may be found out only when it is used."""
    try:
        return bool(client.ping())
    except RedisError:
        return bool(client.ping())


@pytest.fixture
def authority(short_tmp_path: Path) -> Authority:
    return Authority(short_tmp_path)


@pytest.fixture
def tls_port(authority: Authority) -> Iterator[int]:
    """A Redis that is called redis.example.com and 127.0.0.1, and lets nobody in without a certificate."""
    port = free_port()
    issued = authority.issue("redis", "redis.example.com", "127.0.0.1")
    options = (
        "--tls-port",
        str(port),
        "--tls-cert-file",
        str(issued.cert),
        "--tls-key-file",
        str(issued.key),
    )
    server = RedisServer(options=(*options, "--tls-ca-cert-file", str(authority.ca)))
    server.start()
    yield port
    server.close()


def tls_settings(port: int, authority: Authority, **overrides: object) -> Settings:
    """Settings of a client on TLS that shows client.pem."""
    base = {
        "redis_host": "127.0.0.1",
        "redis_port": port,
        "redis_ca_cert_path": authority.ca,
        "redis_client_cert_path": authority.folder / "client.pem",
        "redis_client_key_path": authority.folder / "client.key",
        "redis_timeout": 2,
    }
    return Settings.model_validate({**base, **overrides})


def ping(settings: Settings) -> None:
    """Blocking and asyncio, each with a new client."""

    async def main() -> None:
        client = async_client(settings, Secrets(), "test")
        try:
            await client.set("a", "1")
        finally:
            await client.connection_pool.disconnect()

    assert blocking_client(settings, Secrets(), "test").ping()
    asyncio.run(main())


def test_redis_sees_a_client_certificate(tls_port: int, authority: Authority) -> None:
    authority.issue("client", "mutt.example.com")
    ping(tls_settings(tls_port, authority))
    without = tls_settings(tls_port, authority, redis_client_cert_path=None, redis_client_key_path=None)
    with pytest.raises(RedisError):
        ping(without)


def test_a_renewed_certificate_is_taken_by_new_connections(tls_port: int, authority: Authority) -> None:
    authority.issue("client", "mutt.example.com", valid_days=-1)
    client = blocking_client(tls_settings(tls_port, authority), Secrets(), "test")
    with pytest.raises(RedisError):
        client.ping()
    authority.issue("client", "mutt.example.com")
    assert client.ping()


def test_a_server_with_another_name_is_refused(tls_port: int, authority: Authority) -> None:
    authority.issue("client", "mutt.example.com")
    # 127.0.0.1 is in the certificate of this server, localhost is not.
    with pytest.raises(RedisConnectionError, match="localhost"):
        ping(tls_settings(tls_port, authority, redis_host="localhost"))


def test_a_server_of_another_authority_is_refused(tls_port: int, authority: Authority) -> None:
    authority.issue("client", "mutt.example.com")
    other = Authority(authority.folder, "other-ca")
    with pytest.raises(RedisConnectionError, match="certificate verify failed"):
        ping(tls_settings(tls_port, authority, redis_ca_cert_path=other.ca))


def test_a_certificate_that_is_not_there_is_named(tls_port: int, authority: Authority) -> None:
    missing = authority.folder / "client.pem"
    with pytest.raises(RedisConnectionError, match=f"REDIS_CLIENT_CERT_PATH={missing}: No such file"):
        ping(tls_settings(tls_port, authority))


def test_a_master_that_became_a_replica_is_left_by_all_connections(server: RedisServer) -> None:
    client = blocking_client(settings_of(server), Secrets(), "test")
    with server.client() as direct:
        for _ in range(2):
            threads = [threading.Thread(target=client.brpoplpush, args=("a", "b", 1)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        before = _ids(direct)
        assert len(before) >= 2
        direct.replicaof("127.0.0.1", 1)
        with pytest.raises(ResponseError, match="read only replica"):
            client.set("a", "1")
        direct.replicaof("no", "one")
        assert client.set("a", "1")
        assert not before & _ids(direct)


def test_an_async_client_leaves_a_replica_too(server: RedisServer) -> None:
    async def main() -> None:
        client = async_client(settings_of(server), Secrets(), "test")
        with server.client() as direct:
            await asyncio.gather(*(client.set("a", "1") for _ in range(3)))
            before = _ids(direct)
            direct.replicaof("127.0.0.1", 1)
            with pytest.raises(ResponseError):
                await client.eval("return redis.call('SET', KEYS[1], '1')", 1, "a")
            direct.replicaof("no", "one")
            assert await client.set("a", "1")
            assert not before & _ids(direct)
        await client.connection_pool.disconnect()

    asyncio.run(main())


def _ids(direct: redis.Redis) -> set[str]:
    """The connections that a server has of the client under test."""
    clients: list[dict[str, Any]] = direct.client_list()
    return {each["id"] for each in clients if each["name"] == "mutt-test"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("READONLY You can't write against a read only replica.", "READONLY"),
        ("ERR Error running script (call to f_0): @user_script:9: -READONLY You can't write", "READONLY"),
        ("-NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
    ],
)
def test_the_code_of_an_error_is_found_also_inside_a_script_s(text: str, code: str) -> None:
    assert has_code(ResponseError(text), code)
    assert not has_code(ResponseError(text), "MOVED")


@pytest.mark.parametrize(("waits", "secs"), [(False, 0.3), (True, 0.8)])
def test_only_who_waits_in_redis_gives_it_more_time_than_redis_timeout(
    server: RedisServer, waits: bool, secs: float
) -> None:
    settings = settings_of(server, redis_timeout=0.3, brpoplpush_timeout=0.5)
    client = blocking_client(settings, Secrets(), "test", waits=waits)
    assert client.ping()
    server.pause()
    try:
        started = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            client.ping()
        # Not at all timed from above: a busy machine may be late.
        assert time.monotonic() - started >= secs
    finally:
        server.resume()
    assert client.connection_pool.connection_kwargs["socket_timeout"] == pytest.approx(secs)
