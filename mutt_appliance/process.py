"""What a child process of the appliance is given, and how it talks to the supervisor.

The supervisor pickles a `ChildSpec` into a spawned process; there it becomes a `Child`, which a
role's `run(child)` uses to say that it serves, to beat, and to learn that it must stop or reload.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mutt_appliance.config import Settings
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.health import HealthBoard
from mutt_appliance.telemetry.spans import CLOSE_MAX_SECS, Tracing, start_tracing

BEAT_INTERVAL_SECS = 0.5
# A batch makes thousands of dictionaries that die together, none in a cycle; looking for cycles each
# 700 of them costs a tenth of an ingestor's time and a third of an alerter's.
GC_THRESHOLDS = (100_000, 50, 100)


@dataclass(frozen=True)
class ChildSpec:
    """One child: its role and number in the pool, and all it needs to do its work.

    `sockets` holds listening sockets by purpose ("http", "metrics", "health"), bound by the
    supervisor so that a pool shares one port. `channel` is the child's end of a SOCK_SEQPACKET
    pair; the supervisor's end sees end-of-file when the child is gone. `run_id` is the same for
    all children of one run of the supervisor. `output` becomes stdout and stderr of the child, if given.
    `otel` are OpenTelemetry's variables. With `log_priorities` log lines begin with their priority, for the journal.
    """

    role: str
    index: int
    settings: Settings
    secrets: Secrets = field(repr=False)
    run_id: str
    worker_name: str
    channel: socket.socket
    sockets: dict[str, socket.socket]
    parent_pid: int
    output: socket.socket | None = None
    otel: Mapping[str, str] = field(default_factory=dict, repr=False)
    log_priorities: bool = False

    @property
    def name(self) -> str:
        """`alerter:0`, as supervisord would write it."""
        return f"{self.role}:{self.index}"


class Child:
    """The child's side: signals become events, beats and reports become messages to the supervisor."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.settings = spec.settings
        self.secrets = spec.secrets
        self.name = spec.name
        self.sockets = spec.sockets
        self.health = HealthBoard(spec.settings.mutt_runtime_dir, spec.role, spec.index)
        self.stopping = threading.Event()
        self.reloading = threading.Event()
        # Number of the supervisor's last reload that this process was told of; reports name it.
        self.reload_round = 0
        self._on_stop: Callable[[], None] | None = None
        self._on_reload: Callable[[], None] | None = None
        self._last_beat = 0.0
        self._tracing: Tracing | None = None
        spec.channel.setblocking(False)

    def request_stop(self) -> None:
        """SIGTERM: settle what is held, then return from `run`."""
        self.stopping.set()
        if self._on_stop is not None:
            self._on_stop()

    def request_reload(self) -> None:
        """SIGHUP: read again what is cached (rules, secrets)."""
        self.reloading.set()
        if self._on_reload is not None:
            self._on_reload()

    def start_tracing(self) -> Tracing | None:
        """Traces, if there are any; for a role that makes spans, once, at its start."""
        self._tracing = start_tracing(
            self.spec.otel,
            self.secrets.otel_exporter_otlp_headers,
            role=self.spec.role,
            process=self.name,
            instance=self.spec.worker_name,
        )
        return self._tracing

    def close_tracing(self) -> None:
        """Export the last spans; takes no more than a small part of the drain time."""
        if self._tracing is not None:
            self._tracing.close(min(CLOSE_MAX_SECS, self.settings.drain_timeout / 8))

    def bind_loop(
        self,
        loop: asyncio.AbstractEventLoop,
        on_stop: Callable[[], None],
        on_reload: Callable[[], None] | None = None,
    ) -> None:
        """Call `on_stop` and `on_reload` inside an asyncio loop, also from a signal handler."""
        self._on_stop = lambda: _into(loop, on_stop)
        self._on_reload = (lambda: _into(loop, on_reload)) if on_reload else None
        # What came before the loop must not be forgotten: the supervisor waits for an answer to a reload.
        if self.reloading.is_set() and on_reload:
            loop.call_soon(on_reload)
        if self.stopping.is_set():
            loop.call_soon(on_stop)

    def ready(self, **details: Any) -> None:
        """The child serves: the supervisor moves it from STARTING to RUNNING."""
        self.report("ready", **details)
        self.beat()

    def beat(self) -> None:
        """Sign of life, cheap enough for every turn of a loop; also writes the health board."""
        now = time.monotonic()
        if now - self._last_beat < BEAT_INTERVAL_SECS:
            return
        self._last_beat = now
        self.health.publish()
        self.report("beat")

    def report(self, kind: str, **details: Any) -> None:
        """Send one message; dropped when the supervisor does not read (it will miss beats, not block us)."""
        message = json.dumps({"kind": kind, **details}, default=str).encode()
        try:
            self.spec.channel.send(message)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError, OSError):
            return


def _into(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)


def look_less_for_cycles() -> None:
    """To be called once a role has made what it keeps: that is left alone, and the rest is looked at less often."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
