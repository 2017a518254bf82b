"""Connections of redis-py that go where their route leads, and leave a server that is not the master.

Each of the four is one of redis-py's with the same additions: at each connect the master is located, both
passwords are tried, certificates are read, and a located server must say that it is the master.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import redis
import redis.asyncio
from redis.connection import HiredisRespSerializer
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from mutt_appliance.config.addresses import Address
from mutt_appliance.queueing.errors import is_elsewhere
from mutt_appliance.queueing.locating import MasterNotFoundError
from mutt_appliance.queueing.routes import Route
from mutt_appliance.queueing.scripts import text


class _Blocking(redis.connection.AbstractConnection):
    def __init__(self, *, route: Route, **options: Any) -> None:
        self.route = route
        self.peer: Address | None = None
        super().__init__(**options)

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connect and sign in, if it is not done."""
        if self.is_connected:
            return
        passwords = self.route.passwords.to_try()
        for password in passwords:
            self.password = password.value or None
            try:
                super().connect_check_health(check_health, retry_socket_connect)
            except AuthenticationError:
                if password is passwords[-1]:
                    raise
            else:
                self.route.passwords.worked(password)
                return

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Sign in; called with a new socket."""
        self.route.joined(self)
        super().on_connect_check_health(check_health)
        if not self.route.locator.fixed:
            self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
            _must_be_master(self.read_response(), self.peer)

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The answer to a command."""
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            if is_elsewhere(error):
                self.route.leave(self.peer)
                self.disconnect()
            raise

    def disconnect(self, *args: Any, **options: Any) -> None:
        """Close the connection."""
        super().disconnect(*args, **options)  # type: ignore[no-untyped-call]
        self.peer = None

    def cut(self) -> None:
        """End it from another thread; who uses it closes it then."""
        sock = self._get_socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                # Not the method of an SSL socket, which would take its state away from the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class BlockingUnix(_Blocking, redis.UnixDomainSocketConnection):
    """Over a Unix socket."""


class BlockingTcp(_Blocking, redis.Connection):
    """Over TCP, with TLS if the route has it."""

    def _connect(self) -> socket.socket:
        self.peer = self.host, self.port = self.route.locator.locate()
        sock: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        try:
            context = self.route.tls()
            if context is None:
                return sock
            sock.settimeout(self.socket_connect_timeout)
            wrapped = context.wrap_socket(sock, server_hostname=self.host)
            wrapped.settimeout(self.socket_timeout)
        except BaseException:
            sock.close()
            raise
        return wrapped


class _Async(redis.asyncio.connection.AbstractConnection):
    # Writes commands with hiredis, as the blocking client does: a batch of 1,000 takes a third of the time.
    _packer = HiredisRespSerializer()

    def __init__(self, *, route: Route, **options: Any) -> None:
        self.route = route
        self.peer: Address | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(**options)

    def pack_command(self, *args: Any) -> list[bytes]:
        """One command in the Redis protocol."""
        packed: list[bytes] = self._packer.pack(*args)
        return packed

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Connect and sign in, if it is not done."""
        if self.is_connected:
            return
        passwords = self.route.passwords.to_try()
        for password in passwords:
            self.password = password.value or None
            try:
                await super().connect_check_health(check_health, retry_socket_connect)
            except RedisConnectionError as error:
                # Over a Unix socket redis-py signs in while it connects, and wraps what comes of it.
                refused = isinstance(error, AuthenticationError) or isinstance(
                    error.__cause__, AuthenticationError
                )
                if not refused or password is passwords[-1]:
                    raise
                await self.disconnect()
            else:
                self.route.passwords.worked(password)
                return

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Sign in; called with a new stream."""
        self._loop = asyncio.get_running_loop()
        self.route.joined(self)
        await super().on_connect_check_health(check_health)
        if not self.route.locator.fixed:
            await self.send_command("ROLE", check_health=False)
            _must_be_master(await self.read_response(), self.peer)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """The answer to a command."""
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if is_elsewhere(error):
                self.route.leave(self.peer)
                await self.disconnect(nowait=True)
            raise

    async def disconnect(self, *args: Any, **options: Any) -> None:
        """Close the connection."""
        try:
            await super().disconnect(*args, **options)
        finally:
            self.peer = None

    def cut(self) -> None:
        """End it from another thread; who uses it closes it then."""
        writer, loop = self._writer, self._loop
        if writer is not None and loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(writer.transport.abort)


class AsyncUnix(_Async, redis.asyncio.UnixDomainSocketConnection):
    """Over a Unix socket."""


class AsyncTcp(_Async, redis.asyncio.Connection):
    """Over TCP, with TLS if the route has it."""

    async def _connect(self) -> None:
        locator = self.route.locator
        self.peer = locator.locate() if locator.fixed else await asyncio.to_thread(locator.locate)
        self.host, self.port = self.peer
        await super()._connect()  # type: ignore[no-untyped-call]

    def _connection_arguments(self) -> dict[str, Any]:
        return {"host": self.host, "port": self.port, "ssl": self.route.tls()}


def _must_be_master(answer: Any, peer: Address | None) -> None:
    role = text(answer[0])
    if role != "master":
        raise MasterNotFoundError(f"{peer} was named as the master and is a {role}")
