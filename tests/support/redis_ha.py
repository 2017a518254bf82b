"""Three machines, each a network namespace with a Redis and a Sentinel that run from the templates of etc/redis.

The namespaces hang on a bridge of the test's own, so that a machine can be cut off by its link. Needs root.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mutt_appliance.supervisor.programs import RunAs, find_redis_server, run_as
from tests.support.certificates import Authority
from tests.support.waiting import wait_until

TEMPLATES = Path(__file__).resolve().parents[2] / "etc" / "redis"
REDIS_PORT, SENTINEL_PORT = 6379, 26379
MASTER = "mymaster"
USERS = ("mutt", "replica", "sentinel", "peer", "admin")
# RFC 2544 keeps 198.18.0.0/15 for tests; each set of machines takes a /24 of it.
_networks = itertools.count(os.getpid() % 200)
READY_SECS = 30.0
ASK_AGAIN_SECS = 10.0
FAIL_OVER_SECS = 60.0


def password(user: str) -> str:
    """The password of a user of the templates."""
    return f"secret-of-{user}"


class Machine:
    """A host with a Redis and a Sentinel, in a network namespace of its own."""

    def __init__(self, name: str, address: str, folder: Path, authority: Authority) -> None:
        self.name = name
        self.address = address
        self.folder = folder
        self._issued = authority.issue(f"{name}-tls", address)
        self._ca = authority.ca
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def write(self, master: str) -> None:
        """Write the templates for this machine; `master` is the address of the first one."""
        words = {
            "/etc/redis/tls/redis.pem": str(self._issued.cert),
            "/etc/redis/tls/redis.key": str(self._issued.key),
            "/etc/redis/tls/ca.pem": str(self._ca),
            "/etc/redis/": f"{self.folder}/",
            f"sentinel monitor {MASTER} 192.0.2.11": f"sentinel monitor {MASTER} {master}",
            "192.0.2.11": self.address,
            **{f"CHANGE-ME-{user}": password(user) for user in USERS},
        }
        if master != self.address:
            words["#replicaof 192.0.2.12 6379"] = f"replicaof {master} {REDIS_PORT}"
        for template in TEMPLATES.iterdir():
            content = template.read_text(encoding="utf-8")
            for old, new in words.items():
                content = content.replace(old, new)
            target = self.folder / template.name
            target.write_text(content, encoding="utf-8")
            target.chmod(0o600)
            run_as(None).own(target)

    def start(self, what: str) -> None:
        """Start "redis" or "sentinel"; does not wait."""
        arguments = ["--sentinel"] if what == "sentinel" else []
        with (self.folder / f"{what}.log").open("ab") as log:
            self._running[what] = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.name, *_as_user(run_as(None))),
                    *(
                        str(find_redis_server(None)),
                        f"{self.folder}/mutt-{what}.conf",
                        "--dir",
                        str(self.folder),
                    ),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, what: str, number: int) -> None:
        """SIGKILL also waits for the end."""
        process = self._running[what]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait(10)

    def running(self, what: str) -> bool:
        """True while the process is there, frozen or not."""
        return what in self._running and self._running[what].poll() is None

    def cut_off(self) -> None:
        """Take the machine's link away: packets vanish, nobody is told."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Give the link back."""
        _ip("-n", self.name, "link", "set", "eth0", "up")

    def close(self) -> None:
        """End what runs."""
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
                process.wait(10)


class RedisHa:
    """A master, two replicas and three Sentinels over TLS with users and passwords; a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.machines: list[Machine] = []

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _set_up(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-ha-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)
        self.authority = Authority(self.folder)
        self.client_certificate = self.authority.issue("client", "mutt.example.com")
        name, network = f"mutt{os.getpid()}-{next(_networks)}", f"198.18.{next(_networks) % 250}"
        bridge = f"mb{name[4:]}"[:15]
        _ip("link", "add", bridge, "type", "bridge")
        self._stack.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{network}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number in range(3):
            self.machines.append(self._machine(f"{name}-{number}", bridge, f"{network}.{11 + number}"))
        first = self.machines[0].address
        for machine in self.machines:
            machine.write(first)
            self._stack.callback(machine.close)
        # Sentinels look at what follows a master when they first see it, and again only after 10 s.
        for machine in self.machines:
            machine.start("redis")
        wait_until(self._followed, READY_SECS, f"two follow {first}: {self.log_tails()}")
        for machine in self.machines:
            machine.start("sentinel")
        wait_until(self.whole, READY_SECS, f"all follow {first}: {self.log_tails()}")

    def _machine(self, name: str, bridge: str, address: str) -> Machine:
        folder = self.folder / address
        folder.mkdir()
        run_as(None).own(folder)
        _ip("netns", "add", name)
        self._stack.callback(_ip, "netns", "del", name)
        outside = f"v{address.rpartition('.')[2]}{bridge}"[:15]
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", outside, "master", bridge, "up")
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return Machine(name, address, folder, self.authority)

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables of an appliance on this Redis; its secrets are `secrets`."""
        return {
            "REDIS_SENTINELS": ",".join(f"{each.address}:{SENTINEL_PORT}" for each in self.machines),
            "REDIS_SENTINEL_MASTER": MASTER,
            "REDIS_SENTINEL_USER": "mutt",
            "REDIS_USER": "mutt",
            "REDIS_TLS_ENABLED": "true",
            "REDIS_CA_CERT_PATH": str(self.authority.ca),
            "REDIS_CLIENT_CERT_PATH": str(self.client_certificate.cert),
            "REDIS_CLIENT_KEY_PATH": str(self.client_certificate.key),
        }

    @property
    def secrets(self) -> dict[str, str]:
        """What belongs into the secrets file."""
        return {"REDIS_PASS": password("mutt"), "REDIS_SENTINEL_PASS": password("mutt")}

    @contextlib.contextmanager
    def client(self, machine: Machine, user: str, port: int = REDIS_PORT) -> Iterator[redis.Redis]:
        """A client of one Redis or Sentinel, past what MUTT uses."""
        client = redis.Redis(
            host=machine.address,
            port=port,
            username=user,
            password=password(user),
            ssl=True,
            ssl_ca_certs=str(self.authority.ca),
            socket_timeout=2,
            socket_connect_timeout=0.5,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        try:
            yield client
        finally:
            client.close()

    def ask(self, machine: Machine, port: int, *command: str) -> Any:
        """The bare answer of a Redis or a Sentinel to an administrator. Raises redis.RedisError."""
        with self.client(machine, "admin", port) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def master(self) -> Machine:
        """The machine whose Redis is the master, by the word of most Sentinels that answer."""
        named: list[str] = []
        for machine in self.machines:
            with contextlib.suppress(redis.RedisError):
                answer = self.ask(machine, SENTINEL_PORT, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
                named.append(answer[0].decode())
        most = max(named, key=named.count)
        return next(each for each in self.machines if each.address == most)

    def _followed(self, machine: Machine | None = None) -> bool:
        """True when two replicas keep up with a machine's Redis."""
        try:
            facts = self.ask(machine or self.machines[0], REDIS_PORT, "INFO", "replication")
        except redis.RedisError:
            return False
        replicas = [facts.get(f"slave{number}", {}) for number in range(2)]
        return all(each.get("state") == "online" and each.get("lag", 9) <= 1 for each in replicas)

    def whole(self) -> bool:
        """True when the master has two replicas that keep up, and every Sentinel knows the others."""
        try:
            if not self._followed(self.master()):
                return False
            for machine in self.machines:
                quorum = self.ask(machine, SENTINEL_PORT, "SENTINEL", "CKQUORUM", MASTER)
                entry = self.ask(machine, SENTINEL_PORT, "SENTINEL", "MASTER", MASTER)
                if not (quorum.startswith(b"OK 3") and _fields(entry)["num-slaves"] == "2"):
                    return False
        except (redis.RedisError, ValueError):
            return False
        return True

    def fail_over(self) -> None:
        """A planned failover, as an administrator asks for it on one of the Sentinels' hosts.

        Sentinel gives it up when the replica is too slow, so it is asked for again after a while.
        """
        old, asked_at = self.master(), -math.inf

        def changed() -> bool:
            nonlocal asked_at
            if time.monotonic() - asked_at > ASK_AGAIN_SECS:
                asked_at = time.monotonic()
                with contextlib.suppress(redis.ResponseError):
                    self.ask(self.machines[0], SENTINEL_PORT, "SENTINEL", "FAILOVER", MASTER)
            return self.master() is not old

        wait_until(changed, FAIL_OVER_SECS, "another master")

    def log_tails(self) -> str:
        """The ends of all logs, for messages."""
        logs = sorted(self.folder.glob("*/*.log"))
        return "\n".join(f"{log}: {log.read_text(errors='replace')[-1500:]}" for log in logs)


def _fields(entry: list[bytes]) -> dict[str, str]:
    texts = [each.decode() for each in entry]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _as_user(user: RunAs) -> list[str]:
    if user.uid is None:
        return []
    return ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
