"""A real redis-server and a real PostgreSQL cluster, to start, stop, kill and freeze."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg2
import redis

from mutt_appliance.supervisor.programs import find_postgres_folder, find_redis_server, run_as
from tests.support.waiting import wait_until

START_TIMEOUT_SECS = 30.0


def server_folder() -> Path:
    """A new folder below /tmp with a short name that the servers' user may enter and owns."""
    folder = Path(tempfile.mkdtemp(prefix="mutt-t-"))
    folder.chmod(0o755)
    run_as(None).own(folder)
    return folder


class _Server:
    """A program in the foreground, run by an unprivileged user when we are root."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path | None) -> None:
        self._own_folder = folder is None
        self.folder = folder or server_folder()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the program is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program and wait until it answers."""
        assert not self.running
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in self._command()],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,
                **run_as(None).popen_arguments,  # type: ignore[call-overload]
            )
        wait_until(self._answers_or_ended, START_TIMEOUT_SECS, f"{self} answers")
        assert self.running, (self.folder / "server.log").read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """End the program in its orderly way."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine would be."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start on the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server: connections are accepted by the kernel, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        for pid in self._tree():
            # One that served a single connection may be gone by now.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self) -> None:
        """Kill what still runs and remove the folder if it is ours."""
        if self.running:
            self.resume()
            self.kill()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[object]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _answers_or_ended(self) -> bool:
        return not self.running or self._answers()

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self.running:
            os.kill(self._process.pid, number)
        self._process.wait(START_TIMEOUT_SECS)
        self._process = None

    def _tree(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]


class RedisServer(_Server):
    """redis-server on a Unix socket, or on a TCP port of the loopback address.

    `appendfsync` "always" or "everysec" turns the append-only file on; None keeps nothing on disk. `program` is
    another redis-server than the usual one.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int = 0,
        appendfsync: str | None = None,
        options: tuple[str, ...] = (),
        program: Path | None = None,
    ) -> None:
        super().__init__(folder)
        self.port = port
        self._program = find_redis_server(program)
        self._appendfsync = appendfsync
        self._options = options
        self.socket_path = self.folder / "redis.sock"

    @property
    def address(self) -> str:
        """Value for REDIS_HOST (with REDIS_PORT=port when it listens on TCP)."""
        return "127.0.0.1" if self.port else str(self.socket_path)

    @property
    def url(self) -> str:
        """URL for redis.from_url and redis-cli -u."""
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self.socket_path}?db=0"

    def client(self) -> redis.Redis:
        """A new client that waits at most 5 s."""
        return redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5)

    def _command(self) -> list[object]:
        persistence = ["--appendonly", "no"]
        if self._appendfsync:
            persistence = ["--appendonly", "yes", "--appendfsync", self._appendfsync]
        return [
            self._program,
            *("--port", self.port, "--bind", "127.0.0.1"),
            *("--unixsocket", self.socket_path, "--unixsocketperm", "777"),
            *("--dir", self.folder, "--save", "", "--daemonize", "no", "--maxmemory-policy", "noeviction"),
            *persistence,
            *self._options,
        ]

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class PostgresServer(_Server):
    """A PostgreSQL cluster on a Unix socket, or on a TCP port of the loopback address as well.

    Every local user is the superuser `mutt_user` without a password. `durable` leaves fsync on.
    """

    stop_signal = signal.SIGINT

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int = 0,
        durable: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(folder)
        self.port = port or 5432
        self._tcp = bool(port)
        self._durable = durable
        self._options = options
        self._programs = find_postgres_folder(None)
        self.data = self.folder / "data"

    @property
    def address(self) -> str:
        """Value for DB_HOST (with DB_PORT=port)."""
        return "127.0.0.1" if self._tcp else str(self.folder)

    def connect(self, database: str = "postgres", timeout_secs: int = 5) -> psycopg2.extensions.connection:
        """A new connection in autocommit mode; the caller closes it."""
        connection = psycopg2.connect(
            host=self.address,
            port=self.port,
            user="mutt_user",
            dbname=database,
            connect_timeout=timeout_secs,
        )
        connection.autocommit = True
        return connection

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside a transaction; its rows, if it has any."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str) -> None:
        """Make an empty database."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            # By its default of 15 and later each of its pages goes into the log, which takes four times as long.
            strategy = "STRATEGY file_copy" if connection.server_version >= 150_000 else ""
            cursor.execute(f'CREATE DATABASE "{name}" {strategy}')

    def start(self) -> None:
        """Make the cluster if there is none, start it and wait until it answers."""
        if not (self.data / "PG_VERSION").exists():
            subprocess.run(
                [
                    *(self._programs / "initdb", "--pgdata", self.data, "--username", "mutt_user"),
                    *(
                        "--auth",
                        "trust",
                        "--encoding",
                        "UTF8",
                        "--locale",
                        "C",
                        "--no-sync",
                        "--no-instructions",
                    ),
                ],
                check=True,
                capture_output=True,
                cwd=self.folder,
                **run_as(None).popen_arguments,  # type: ignore[call-overload]
            )
        super().start()

    def _command(self) -> list[object]:
        settings = {
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "unix_socket_permissions": "0777",
            "max_connections": 200,
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "fsync": "on" if self._durable else "off",
            "synchronous_commit": "on" if self._durable else "off",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self.data, *flags, *self._options]

    def _answers(self) -> bool:
        if not self._tcp and not (self.folder / f".s.PGSQL.{self.port}").exists():
            return False
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True


def accepts_connections(port: int) -> bool:
    """True when somebody listens on `port` of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
