"""Asking an embedded server whether it serves, over its Unix socket and without waiting.

PostgreSQL: frontend/backend protocol, "Start-up" and "Error and Notice Message Fields".
Redis: inline commands of the Redis serialization protocol.
"""

from __future__ import annotations

import enum
import selectors
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROTOCOL_3_0 = 196608
CANNOT_CONNECT_NOW = b"57P03"
ANSWER_TIMEOUT_SECS = 2.0
ANSWER_MAX_BYTES = 65536


class Verdict(enum.Enum):
    """What an answer means. ALIVE: there is a server, but it does not serve yet."""

    SERVES = "serves"
    ALIVE = "alive"


@dataclass(frozen=True)
class Question:
    """What to send where; `judge` gets all bytes of the answer so far, None asks for more of them."""

    path: Path
    request: bytes
    judge: Callable[[bytes], Verdict | None]
    farewell: bytes = b""


def redis_question(path: Path) -> Question:
    """PING."""
    return Question(path, b"PING\r\n", judge_redis)


def postgres_question(path: Path, user: str) -> Question:
    """Log in to the database `postgres` and leave."""
    parameters = b"".join(
        part.encode() + b"\0"
        for part in ("user", user, "database", "postgres", "application_name", "mutt: supervisor")
    )
    body = struct.pack("!I", PROTOCOL_3_0) + parameters + b"\0"
    return Question(path, struct.pack("!I", len(body) + 4) + body, judge_postgres, b"X\0\0\0\x04")


def judge_redis(answer: bytes) -> Verdict | None:
    """-LOADING: it reads its file; any other answer, an error too, comes from a server that serves."""
    if b"\r\n" not in answer:
        return None
    return Verdict.ALIVE if answer.startswith((b"-LOADING", b"-MASTERDOWN")) else Verdict.SERVES


def judge_postgres(answer: bytes) -> Verdict | None:
    """ReadyForQuery: it serves. ErrorResponse: alive while it starts or stops, else busy but serving."""
    at = 0
    while len(answer) >= at + 5:
        kind, length = answer[at : at + 1], struct.unpack_from("!I", answer, at + 1)[0]
        if len(answer) < at + 1 + length:
            return None
        if kind == b"E":
            fields = answer[at + 5 : at + 1 + length].split(b"\0")
            return Verdict.ALIVE if b"C" + CANNOT_CONNECT_NOW in fields else Verdict.SERVES
        if kind == b"Z":
            return Verdict.SERVES
        at += 1 + length
    return None


class Probe:
    """One question at a time, asked again every `interval` seconds, within a selectors loop."""

    def __init__(
        self, question: Question, selector: selectors.BaseSelector, answer: Callable[[Verdict], None]
    ) -> None:
        self._question = question
        self._selector = selector
        self._on_verdict = answer
        self._socket: socket.socket | None = None
        self._received = b""
        self._give_up_at = 0.0
        self.next_at = 0.0

    def turn(self, now: float, interval_secs: float) -> None:
        """Ask if it is time to; give up a question that got no answer."""
        if self._socket is not None:
            if now < self._give_up_at:
                return
            self.close()
        if now >= self.next_at:
            self.next_at = now + interval_secs
            self._ask(now)

    @property
    def deadline(self) -> float:
        """Time at which `turn` has something to do."""
        return self._give_up_at if self._socket is not None else self.next_at

    def close(self) -> None:
        """Forget the question that is under way."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _ask(self, now: float) -> None:
        attempt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        attempt.setblocking(False)
        try:
            attempt.connect(str(self._question.path))
            attempt.send(self._question.request)
        except OSError:
            # Not there yet, or its backlog is full: no sign of life either way.
            attempt.close()
            return
        self._socket, self._received, self._give_up_at = attempt, b"", now + ANSWER_TIMEOUT_SECS
        self._selector.register(attempt, selectors.EVENT_READ, self._readable)

    def _readable(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(ANSWER_MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        verdict = self._question.judge(self._received)
        if verdict is None and data and len(self._received) < ANSWER_MAX_BYTES:
            return
        if verdict is not None:
            self._say_farewell(self._socket)
        self.close()
        if verdict is not None:
            self._on_verdict(verdict)

    def _say_farewell(self, connection: socket.socket) -> None:
        try:
            connection.send(self._question.farewell)
        except OSError:
            return
