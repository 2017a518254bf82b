"""The user `mutt` of etc/redis/mutt-users.acl: what MUTT needs, on a real Redis, and nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import blocking_client
from mutt_appliance.queueing.keys import KeySpace, shard_tag
from mutt_appliance.secrets import Secrets
from tests.support.servers import RedisServer
from tests.support.waiting import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATE = REPOSITORY / "etc" / "redis" / "mutt-users.acl"
SCRIPTS = REPOSITORY / "mutt_appliance" / "queueing" / "lua"
MUTT = Secrets(redis_pass="CHANGE-ME-mutt")


class GuardedRedis(RedisServer):
    """A Redis that only the users of the template may use, with an append-only file."""

    def __init__(self) -> None:
        super().__init__(port=free_port(), appendfsync="always")
        users = self.folder / "users.acl"
        users.write_text(TEMPLATE.read_text(encoding="utf-8"))
        users.chmod(0o644)
        # Every write stays in the file as it was sent, as it is until Redis rewrites it.
        self._options = ("--aclfile", str(users), "--aof-use-rdb-preamble", "no")

    def client(self) -> redis.Redis:
        """A client of the administrator."""
        return redis.Redis(port=self.port, username="admin", password="CHANGE-ME-admin", protocol=2)


@pytest.fixture
def server() -> Iterator[GuardedRedis]:
    made = GuardedRedis()
    made.start()
    yield made
    made.close()


def settings_of(server: GuardedRedis, **overrides: object) -> Settings:
    """Settings of the user mutt."""
    base = {"redis_host": "127.0.0.1", "redis_port": server.port, "redis_user": "mutt"}
    return Settings.model_validate({**base, "redis_tls_enabled": False, **overrides})


@pytest.fixture
def client(server: GuardedRedis) -> Iterator[redis.Redis]:
    made = blocking_client(settings_of(server), MUTT, "test")
    yield made
    made.connection_pool.disconnect()


def allowed() -> set[str]:
    """The commands that the template gives to mutt, in lower case."""
    (line,) = (line for line in TEMPLATE.read_text().splitlines() if line.startswith("user mutt "))
    return {word.removeprefix("+") for word in line.split() if word.startswith("+")}


def test_every_command_of_a_script_is_allowed() -> None:
    used = {
        command.lower()
        for script in SCRIPTS.glob("*.lua")
        for command in re.findall(r"redis\.call\('([A-Z]+)'", script.read_text(encoding="utf-8"))
    }
    assert len(used) > 20
    assert used <= allowed()


def test_every_allowed_command_is_used_somewhere() -> None:
    sources = [*(REPOSITORY / "mutt_appliance").rglob("*.py"), *SCRIPTS.glob("*.lua")]
    words = set(
        re.findall(r"[a-z_]+", " ".join(each.read_text(encoding="utf-8").lower() for each in sources))
    )
    # redis-py sends these: CLIENT SETNAME and SELECT at connect, EVALSHA and SCRIPT for a registered
    # script, MULTI and EXEC around a pipeline.
    by_library = {"client|setname", "select", "evalsha", "script|load", "script|exists", "multi", "exec"}
    by_library |= {"cluster|slots", "cluster|nodes", "unsubscribe", "scan"}
    unused = {command for command in allowed() - by_library if command not in words}
    assert unused == set()


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("KEYS", "*"), ("SHUTDOWN",),
        ("REPLICAOF", "NO", "ONE"), ("MONITOR",), ("CLIENT", "LIST"), ("EVAL", "return 1", "0"),
        ("SCRIPT", "FLUSH"), ("GET", "other:key"), ("LPUSH", "other:key", "x"), ("PUBLISH", "other", "x"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_mutt_does_not_need_is_refused(client: redis.Redis, command: tuple[str, ...]) -> None:
    with pytest.raises(NoPermissionError):
        client.execute_command(*command)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "overrides", [{}, {"redis_hash_tag": "mutt"}, {"redis_cluster_nodes": "127.0.0.1:1"}], ids=str
)
def test_the_keys_of_mutt_are_allowed_with_and_without_a_hash_tag(
    client: redis.Redis, overrides: dict[str, str]
) -> None:
    settings = Settings.model_validate(overrides)
    for shard in range(2):
        keys = KeySpace(settings, shard)
        assert shard_tag(settings, shard) in keys.ingest_queue
        client.lpush(keys.ingest_queue, "x")
        client.publish(keys.changes, "rules")


def test_what_a_script_wrote_is_there_again_after_a_restart(
    server: GuardedRedis, client: redis.Redis
) -> None:
    script = client.register_script("redis.call('SET', KEYS[1], '1') redis.call('SADD', KEYS[2], '2')")
    script(keys=["mutt:a", "mutt:b"])
    server.restart()
    with server.client() as admin:
        assert admin.get("mutt:a") == b"1"
        assert admin.smembers("mutt:b") == {b"2"}
        assert admin.acl_log() == []


def test_nobody_signs_in_as_the_default_user(server: GuardedRedis) -> None:
    with redis.Redis(port=server.port, protocol=2) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.get("mutt:a")
