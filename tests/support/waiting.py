"""Waiting for a condition with a deadline, and ports that are free."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PORT_RANGE = (15_000, 32_000)
_given: set[int] = set()


def wait_until(
    condition: Callable[[], T], timeout_secs: float = 10.0, message: str = "", interval_secs: float = 0.05
) -> T:
    """First true value of `condition`; AssertionError with `message` when it stays false."""
    deadline = time.monotonic() + timeout_secs
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {timeout_secs} s: {message or getattr(condition, '__name__', '')}"
            )
        time.sleep(interval_secs)


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on, another at each call.

    It is below the range that the kernel takes ports for outgoing connections from (ip(7)).
    """
    while True:
        port = random.randrange(*PORT_RANGE)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
