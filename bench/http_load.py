"""A load generator that costs little: requests made beforehand, keep-alive connections, no HTTP library."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

TIMEOUT_SECS = 60.0
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class LoadError(Exception):
    """A request was not answered with 2xx; the text has the answer."""


@dataclass(frozen=True)
class Load:
    """Requests answered with 2xx and the seconds from the first request to the last answer."""

    requests: int
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def request_bytes(port: int, body: bytes, api_key: str) -> bytes:
    """One POST /ingest as it goes over the wire."""
    head = (
        f"POST /ingest HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-API-KEY: {api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def post_for(
    port: int, requests: Sequence[bytes] | Iterator[bytes], connections: int, seconds: float
) -> Load:
    """Send requests, one after the other on each connection, for `seconds`; then wait for what is under way.

    A sequence is sent over and over; an iterator until its end. Raises LoadError.
    """
    source = itertools.cycle(requests) if isinstance(requests, Sequence) else requests
    return uvloop.run(_post_for(port, source, connections, seconds))


async def _post_for(port: int, source: Iterator[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    clients = [Client(loop) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    started = time.monotonic()
    for client in clients:
        client.begin(source, started + seconds)
    try:
        async with asyncio.timeout(seconds + TIMEOUT_SECS):
            await asyncio.gather(*(client.done for client in clients))
    finally:
        for client in clients:
            client.close()
    return Load(sum(client.answered for client in clients), time.monotonic() - started)


class Client(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered = 0
        self.done: asyncio.Future[None] = loop.create_future()
        self._source: Iterator[bytes] = iter(())
        self._until = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def begin(self, source: Iterator[bytes], until: float) -> None:
        """Send the first request; more follow until `until` (monotonic seconds)."""
        self._source, self._until = source, until
        self._send()

    def _send(self) -> None:
        request = next(self._source, None) if time.monotonic() < self._until else None
        if request is None:
            self._finish(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count a complete answer and send the next request."""
        buffer = self._buffer + data if self._buffer else data
        head, found, body = buffer.partition(HEAD_END)
        if not found or len(body) < body_length(head):
            self._buffer = buffer
            return
        self._buffer = b""
        if head[9:10] != b"2":
            self._finish(LoadError(buffer[:1000].decode("utf-8", "replace")))
            return
        self.answered += 1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody closes a connection that is in use."""
        self._finish(LoadError(f"the server closed the connection: {exc}"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _finish(self, error: LoadError | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Sender(asyncio.Protocol):
    """One keep-alive connection to the ingestor; `release` is called with each answer, and with none when it breaks."""

    def __init__(self, release: Callable[[Sender, bytes], None]) -> None:
        self.lost = False
        self._release = release
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes) -> None:
        """Send a request; the one before was answered."""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Hand on a complete answer."""
        self._answer += data
        head, found, body = self._answer.partition(HEAD_END)
        if found and len(body) >= body_length(head):
            answer, self._answer = self._answer, b""
            self._release(self, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by the server, or by us at the end."""
        self.lost = True
        self._release(self, b"")

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class Webhook(asyncio.Protocol):
    """One connection of the forwarder: every request is noted and answered with 200 at once."""

    def __init__(self, note: Callable[[bytes], None]) -> None:
        self._note = note
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(HEAD_END)
            if not found:
                return
            length = body_length(head)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._note(rest[:length])
            self._transport.write(ANSWER)


def body_length(head: bytes) -> int:
    """Content-Length out of the head of a request or an answer."""
    lower = head.lower()
    place = lower.index(LENGTH) + len(LENGTH)
    return int(lower[place:].split(b"\r\n", 1)[0])
