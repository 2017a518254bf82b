"""One Sentinel that watches a master and a replica on the loopback address, quick to notice, without TLS."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tests.support.servers import RedisServer
from tests.support.waiting import free_port, wait_until

MASTER = "mymaster"


class SentinelServer(RedisServer):
    """A Sentinel on a TCP port."""

    def __init__(self, master: RedisServer, program: Path | None) -> None:
        super().__init__(port=free_port(), program=program)
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {MASTER} 500\n"
            f"sentinel failover-timeout {MASTER} 1000\n"
        )
        config.chmod(0o666)
        self._config = config

    def _command(self) -> list[object]:
        return [self._program, self._config, "--sentinel"]

    def master_port(self) -> int:
        """Port of the master by the Sentinel's word."""
        with self.client() as client:
            answer: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return int(answer[1])


class SmallHa:
    """A master with one replica, and a Sentinel; a context manager."""

    def __init__(self, program: Path | None = None) -> None:
        # Without it a first replica waits 5 s for others.
        options = ("--repl-diskless-sync-delay", "0")
        self.servers = [RedisServer(port=free_port(), program=program, options=options) for _ in range(2)]
        self.sentinel = SentinelServer(self.servers[0], program)

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            with self.servers[1].client() as client:
                client.execute_command("REPLICAOF", "127.0.0.1", self.servers[0].port)
            wait_until(self.followed, 20, "a replica follows")
            self.sentinel.start()
            wait_until(self._knows_replica, 20, "the Sentinel knows the replica")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        for server in (self.sentinel, *self.servers):
            server.close()

    def followed(self) -> bool:
        """True when the replica acknowledges what its master is told."""
        with self.master().client() as client:
            client.publish("followed", "")
            return int(client.wait(1, 500)) == 1

    def _knows_replica(self) -> bool:
        with self.sentinel.client() as client, contextlib.suppress(redis.RedisError):
            entry: Any = client.execute_command("SENTINEL", "REPLICAS", MASTER)
            return len(entry) == 1
        return False

    def master(self) -> RedisServer:
        """The server that is the master by the Sentinel's word, or the first one before there is a Sentinel."""
        port = self.sentinel.master_port() if self.sentinel.running else self.servers[0].port
        return next(server for server in self.servers if server.port == port)

    def fail_over(self) -> RedisServer:
        """A planned failover; returns the new master once the Sentinel names it."""
        old = self.master()
        wait_until(self._asked_to_fail_over, 20, "the Sentinel finds the replica good")
        return self.wait_for_another(old)

    def _asked_to_fail_over(self) -> bool:
        with self.sentinel.client() as client, contextlib.suppress(redis.ResponseError):
            return bool(client.execute_command("SENTINEL", "FAILOVER", MASTER))
        return False

    def wait_for_another(self, old: RedisServer) -> RedisServer:
        """The master after `old`."""
        wait_until(lambda: self.master() is not old, 20, "another master")
        return self.master()
