"""What systemd is told, if it asks: sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import math
import os
import time

import sdnotify

from mutt_appliance.telemetry.logs import get_logger

OWN_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Messages to systemd, if it asked for them; never waits for it.

    Takes systemd's variables out of the environment: children are not to answer.
    """

    def __init__(self) -> None:
        watchdog = os.environ.get("WATCHDOG_USEC", "")
        self._notifier = _connect() if "NOTIFY_SOCKET" in os.environ else None
        for name in OWN_VARIABLES:
            os.environ.pop(name, None)
        self._watchdog_secs = (
            int(watchdog) / 1e6 / 2 if self._notifier and watchdog.isdigit() and int(watchdog) else math.inf
        )
        self._watchdog_at = 0.0
        self._log = get_logger("supervisor.notify")
        self._status = ""
        self._waiting: list[str] = []

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
        if words != self._status and not self._waiting:
            self._status = words
            self._send(f"STATUS={words}")

    def alive(self, now: float) -> None:
        """Feed the watchdog, at half its time; to be called at each turn of the loop itself."""
        self._send_waiting()
        if now >= self._watchdog_at and self._watchdog_secs < math.inf and not self._waiting:
            self._watchdog_at = now + self._watchdog_secs
            self._send("WATCHDOG=1")

    @property
    def deadline(self) -> float:
        """Time of the next `alive`."""
        return self._watchdog_at if self._watchdog_secs < math.inf else math.inf

    def _send(self, message: str) -> None:
        if self._notifier is not None:
            self._waiting.append(message)
            self._send_waiting()

    def _send_waiting(self) -> None:
        """Send in order; what does not fit into the socket's queue now is for the next turn."""
        while self._notifier is not None and self._waiting:
            try:
                self._notifier.notify(self._waiting[0])
            except BlockingIOError:
                return
            except OSError as error:
                self._log.warning("systemd cannot be told", error=str(error))
            self._waiting.pop(0)


def _connect() -> sdnotify.SystemdNotifier | None:
    try:
        # With debug on it raises what it would swallow otherwise.
        notifier = sdnotify.SystemdNotifier(debug=True)
    except OSError as error:
        get_logger("supervisor.notify").warning("NOTIFY_SOCKET cannot be used", error=str(error))
        return None
    notifier.socket.setblocking(False)
    return notifier
