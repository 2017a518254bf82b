"""A real Redis Cluster on the loopback address: three masters, each with a replica."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, Self

import redis

from mutt_appliance.queueing.locating import slot_of
from tests.support.servers import RedisServer
from tests.support.waiting import free_port, wait_until

MASTERS = 3
SLOTS = 16384
# The bus of a node listens so far above its port (Redis cluster specification).
BUS_OFFSET = 10_000
FORM_SECS = 30.0
OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1500"),
    # While a master is away the others go on with their slots.
    *("--cluster-require-full-coverage", "no"),
    # Replicas hear of a silent master sooner, and begin a full copy without waiting for others.
    *("--repl-ping-replica-period", "1", "--repl-diskless-sync-delay", "0"),
)


class RedisCluster:
    """A context manager; nodes 0 to 2 begin as masters of a third of the slots each, 3 to 5 as their replicas."""

    def __init__(self) -> None:
        self.nodes: list[RedisServer] = []

    def __enter__(self) -> Self:
        try:
            for _ in range(2 * MASTERS):
                self.nodes.append(RedisServer(port=_port_with_bus(), options=OPTIONS))
                self.nodes[-1].start()
            self._form()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.close()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make an appliance use it."""
        nodes = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return {"REDIS_CLUSTER_NODES": nodes, "REDIS_TLS_ENABLED": "false"}

    def master_of(self, tag: str) -> RedisServer | None:
        """The node that is the master of keys with this hash tag, by the word of most nodes; None without one."""
        slot = slot_of(tag)
        words: list[int] = []
        for node in self.nodes:
            if not node.running:
                continue
            try:
                with _asked(node) as client:
                    ranges = _say(client, "CLUSTER SLOTS")
            except redis.RedisError:
                continue
            words += [int(owner[1]) for first, last, owner, *_ in ranges if first <= slot <= last]
        if not words:
            return None
        port = max(set(words), key=words.count)
        return next(node for node in self.nodes if node.port == port)

    def whole(self) -> bool:
        """True when all nodes run and agree, and each master has a replica that follows."""
        masters = 0
        for node in self.nodes:
            try:
                with _asked(node) as client:
                    info: Any = client.info("replication")
                    state = _say(client, "CLUSTER INFO")
            except redis.RedisError:
                return False
            if "cluster_state:ok" not in _text(state):
                return False
            if info["role"] == "master":
                masters += 1
                if info.get("slave0", {}).get("state") != "online":
                    return False
            elif info["master_link_status"] != "up":
                return False
        return masters == MASTERS

    def _form(self) -> None:
        first, *others = self.nodes
        bounds = [SLOTS * n // MASTERS for n in range(MASTERS + 1)]
        for number, node in enumerate(self.nodes):
            with _asked(node) as client:
                _say(client, "CLUSTER SET-CONFIG-EPOCH", number + 1)
                if number < MASTERS:
                    _say(client, "CLUSTER ADDSLOTS", *range(bounds[number], bounds[number + 1]))
        with _asked(first) as client:
            for node in others:
                _say(client, "CLUSTER MEET", "127.0.0.1", node.port)
        wait_until(self._all_met, FORM_SECS, "all nodes know each other")
        for number, node in enumerate(self.nodes[MASTERS:]):
            with _asked(self.nodes[number]) as client:
                identity = _text(_say(client, "CLUSTER MYID"))
            with _asked(node) as client:
                _say(client, "CLUSTER REPLICATE", identity)
        wait_until(self.whole, FORM_SECS, "every master has its replica")

    def _all_met(self) -> bool:
        for node in self.nodes:
            with _asked(node) as client:
                info = _text(_say(client, "CLUSTER INFO"))
                nodes = _text(_say(client, "CLUSTER NODES"))
            if f"cluster_known_nodes:{len(self.nodes)}" not in info or "handshake" in nodes:
                return False
        return True


@contextmanager
def _asked(node: RedisServer) -> Iterator[redis.Redis]:
    with closing(redis.Redis(port=node.port, socket_timeout=1, socket_connect_timeout=1)) as client:
        yield client


def _say(client: redis.Redis, *command: object) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


def _text(answer: Any) -> str:
    if isinstance(answer, dict):
        return "\n".join(f"{name}:{value}" for name, value in answer.items())
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def _port_with_bus() -> int:
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + BUS_OFFSET))
            except OSError:
                continue
        return port
