"""Waiting for a condition with a deadline, and ports that are free."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


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
    """A TCP port on the loopback address that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
