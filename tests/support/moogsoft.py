"""A stand-in for Moogsoft's webhook: real HTTP on the loopback address, with faults on demand.

In a test:      with Moogsoft() as moogsoft: … moogsoft.url, moogsoft.requests, moogsoft.answer = …
As a program:   python -m tests.support.moogsoft --port 9900 --script 200*20,503,429:2,404,hang:3,reset
                --record received.ndjson (one line a request: time, answer, alert ids)
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
START_SECS = 30.0
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Answer:
    """What happens to one request.

    `status` 0 gives no answer at all; `reset` then breaks the connection at once, else it stays open
    for `delay_secs` and ends. With a status the answer comes after `delay_secs`.
    """

    status: int = 200
    delay_secs: float = 0.0
    retry_after: str | None = None
    reset: bool = False
    headers: tuple[tuple[str, str], ...] = ()


OK = Answer()
HANG = Answer(0, delay_secs=3600)
RESET = Answer(0, reset=True)


@dataclass(frozen=True)
class Received:
    """One request: when its head was read (monotonic seconds), its headers in lower case, body and events."""

    at: float
    headers: dict[str, str]
    body: bytes
    events: list[dict[str, Any]]
    answer: Answer

    @property
    def alert_ids(self) -> list[str]:
        """`alert_id` of each event, in either format."""
        return [str(alert_id_of(event)) for event in self.events]


def alert_id_of(event: dict[str, Any]) -> object:
    """The alert's id inside a LAM object or a cloud event."""
    return (event.get("custom_info") or event.get("tags") or {}).get("alert_id")


@dataclass
class Moogsoft:
    """The server, in a thread of its own; `answer` decides for each request and may be replaced any time.

    `api_header` and `api_key` are checked first (401) when a key is given. `on_request` sees every
    request after its answer was chosen. `requests` are all that arrived, `answered` those whose answer
    was due; with `keep` False nothing is kept in memory. With `context` it speaks TLS.
    """

    port: int = 0
    api_header: str = "x-api-key"
    api_key: str | None = None
    answer: Callable[[Received], Answer] = lambda _: OK
    on_request: Callable[[Received], None] | None = None
    keep: bool = True
    context: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    answered: list[Received] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Value for MOOG_WEBHOOK_URL."""
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}/moog"

    def start(self) -> None:
        """Listen; the port is the same when started again after `stop`."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._serving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="moogsoft", daemon=True)
        self._thread.start()
        assert self._serving.wait(START_SECS)

    def stop(self) -> None:
        """Close the port and every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def accepted(self) -> list[Received]:
        """Requests that were answered with 2xx."""
        return [request for request in list(self.answered) if 200 <= request.answer.status < 300]

    def accepted_ids(self) -> list[str]:
        """Alert ids of the requests that were answered with 2xx, in the order of the answers."""
        return [alert_id for request in self.accepted() for alert_id in request.alert_ids]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, sock=self._listener, ssl=self.context)
        )
        self._loop.call_soon(self._serving.set)
        self._loop.run_forever()
        server.close()
        for task in self._connections:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._connections, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._one_request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the server stops
        finally:
            self._connections.discard(task)
            writer.close()

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        raw = await reader.readuntil(b"\r\n\r\n")
        at = time.monotonic()
        head = raw.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        received = self._judge(at, headers, body)
        answer = received.answer
        await asyncio.sleep(answer.delay_secs)
        if answer.reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            writer.transport.abort()
        if not answer.status:
            return False
        if self.keep:
            self.answered.append(received)
        writer.write(_rendered(answer))
        await writer.drain()
        return True

    def _judge(self, at: float, headers: dict[str, str], body: bytes) -> Received:
        parsed = json.loads(body)
        events = parsed if isinstance(parsed, list) else [parsed]
        answer = OK
        if self.api_key is not None and headers.get(self.api_header.lower()) != self.api_key:
            answer = Answer(401)
        else:
            answer = self.answer(Received(at, headers, body, events, OK))
        received = Received(at, headers, body, events, answer)
        if self.keep:
            self.requests.append(received)
        if self.on_request is not None:
            self.on_request(received)
        return received


def _rendered(answer: Answer) -> bytes:
    body = json.dumps({"status": answer.status}).encode()
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}"]
    lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.retry_after is not None:
        lines.append(f"Retry-After: {answer.retry_after}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def in_turn(script: str) -> Callable[[Received], Answer]:
    """Answers one after the other, and again from the beginning: `200*20,503,429:2,404,hang:3,reset,slow:0.2`.

    `429:2` has Retry-After 2, `hang:3` gives up after 3 s, `slow:0.2` is 200 after 0.2 s, `*20` is 20 times.
    """
    answers: list[Answer] = []
    for word in script.split(","):
        name, _, times = word.strip().partition("*")
        answers += [_parse_answer(name)] * int(times or 1)
    turns = itertools.cycle(answers)
    return lambda _: next(turns)


def _parse_answer(text: str) -> Answer:
    name, _, value = text.partition(":")
    match name:
        case "hang":
            return Answer(0, delay_secs=float(value or 3600))
        case "reset":
            return RESET
        case "slow":
            return Answer(200, delay_secs=float(value or 1))
    return Answer(int(name), retry_after=value or None)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Stand-in for Moogsoft's webhook")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--script", default="200", help="answers in turn, such as 200*20,503,429:2,404,hang:3,reset"
    )
    parser.add_argument("--api-key-header", default="X-API-KEY")
    parser.add_argument("--api-key", help="refuse requests with another key (test keys only)")
    parser.add_argument("--record", type=Path, help="file for one JSON line per request")
    options = parser.parse_args()
    record = options.record.open("a", encoding="utf-8", buffering=1) if options.record else None
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server = Moogsoft(
        port=options.port,
        api_header=options.api_key_header,
        api_key=options.api_key,
        answer=in_turn(options.script),
        on_request=_recorder(record) if record else None,
        keep=False,
    )
    with server:
        sys.stdout.write(f"listening on {server.url}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _recorder(file: TextIO) -> Callable[[Received], None]:
    def record(request: Received) -> None:
        line = {"time": time.time(), "status": request.answer.status, "alert_ids": request.alert_ids}
        file.write(json.dumps(line) + "\n")

    return record


if __name__ == "__main__":
    main()
