"""What systemd is told, if it asks: sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import math
import os
import time

import sdnotify

OWN_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Messages to systemd. Takes its variables out of the environment: children are not to answer."""

    def __init__(self) -> None:
        self._enabled = "NOTIFY_SOCKET" in os.environ
        watchdog = os.environ.get("WATCHDOG_USEC", "")
        self._notifier = sdnotify.SystemdNotifier()
        for name in OWN_VARIABLES:
            os.environ.pop(name, None)
        self._watchdog_secs = (
            int(watchdog) / 1e6 / 2 if self._enabled and watchdog.isdigit() and int(watchdog) else math.inf
        )
        self._watchdog_at = 0.0
        self._status = ""

    def ready(self) -> None:
        """Every child serves, or a reload is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload begins."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The drain begins."""
        self._send("STOPPING=1")

    def extend(self, seconds: float) -> None:
        """The stop takes up to `seconds` more from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def status(self, words: str) -> None:
        """One line for `systemctl status`, sent when it changes."""
        if words != self._status:
            self._status = words
            self._send(f"STATUS={words}")

    def alive(self, now: float) -> None:
        """Feed the watchdog, at half its time; to be called by the loop itself."""
        if now >= self._watchdog_at and self._watchdog_secs < math.inf:
            self._watchdog_at = now + self._watchdog_secs
            self._send("WATCHDOG=1")

    @property
    def deadline(self) -> float:
        """Time of the next `alive`."""
        return self._watchdog_at if self._watchdog_secs < math.inf else math.inf

    def _send(self, message: str) -> None:
        if self._enabled:
            self._notifier.notify(message)
