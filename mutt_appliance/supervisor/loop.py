"""The supervisor: one loop that starts, watches, restarts and stops."""

from __future__ import annotations

import math
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

from mutt_appliance.config import Settings
from mutt_appliance.process import ChildSpec
from mutt_appliance.secrets import Secrets
from mutt_appliance.supervisor.embedded import embedded_members
from mutt_appliance.supervisor.folders import make_data_folder, make_runtime_folders
from mutt_appliance.supervisor.members import Member
from mutt_appliance.supervisor.notify import Notifier
from mutt_appliance.supervisor.order import may_start, next_to_stop
from mutt_appliance.supervisor.pidfile import PidFile
from mutt_appliance.supervisor.roles import Pool, new_run_id
from mutt_appliance.supervisor.sockets import listen
from mutt_appliance.supervisor.states import Policy, State
from mutt_appliance.supervisor.workers import SpecFactory, WorkerMember
from mutt_appliance.telemetry.logs import get_logger

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A signal to the whole process group may reach us twice (once from the loader of a one-file
# binary): only one that comes later than this after the first means "now".
SAME_SIGNAL_SECS = 1.0
TURN_MAX_SECS = 5.0
TURN_MIN_SECS = 0.005
DRAIN_NOTICE_SECS = 5.0

Reload = Callable[[], tuple[Settings, Secrets]]


class Supervisor:
    """Supervises the processes of `pools`, and the stores in embedded mode.

    The constructor makes folders, takes the pid file and binds the sockets; it raises ConfigError
    or ProgramError. `reload` gives settings and secrets as they are now; it may raise.
    """

    def __init__(self, settings: Settings, secrets: Secrets, pools: list[Pool], reload: Reload) -> None:
        self._settings = settings
        self._secrets = secrets
        self._reload = reload
        self._log = get_logger("supervisor.loop")
        self._selector = selectors.DefaultSelector()
        self._notifier = Notifier()
        self._run_id = new_run_id()
        self._pending: list[signal.Signals] = []
        self._stopping_since: float | None = None
        self._killed = False
        self._ready_told = False
        self._started_at = time.monotonic()
        self._drain_notice_at = 0.0
        make_runtime_folders(settings, [pool.role for pool in pools])
        self._locks = [PidFile(settings.mutt_runtime_dir, "MUTT_RUNTIME_DIR")]
        if settings.embedded:
            make_data_folder(settings)
            self._locks.append(PidFile(settings.mutt_data_dir, "MUTT_DATA_DIR"))
        for lock in self._locks:
            lock.acquire()
        self._sockets = listen(settings, [field for pool in pools for field in pool.sockets.values()])
        self._fields_at_level: dict[int, list[str]] = {}
        self.members: list[Member] = []
        if settings.embedded:
            self.members += embedded_members(settings, self._selector)
        for pool in pools:
            self._fields_at_level.setdefault(pool.level, []).extend(pool.sockets.values())
            self.members += [self._worker(pool, index) for index in range(pool.count)]

    def run(self) -> int:
        """Supervise until a signal ends it; exit code of the main process."""
        wakeup, wakeup_writer = socket.socketpair()
        wakeup.setblocking(False)
        wakeup_writer.setblocking(False)
        signal.set_wakeup_fd(wakeup_writer.fileno(), warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note)
        self._selector.register(wakeup, selectors.EVENT_READ, lambda: _drain(wakeup))
        self._log.info("supervisor started", run_id=self._run_id, children=len(self.members))
        try:
            self._start_what_may(time.monotonic())
            while not self._finished():
                self._turn()
        except BaseException:
            # At our exit the kernel gives the stores their stop signal; Python would wait for the workers.
            self._kill_workers()
            raise
        finally:
            for listener in self._sockets.values():
                listener.close()
            for lock in self._locks:
                lock.release()
        self._log.info("supervisor stopped", forced=self._killed)
        return 1 if self._killed else 0

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._time_to_wait()):
            key.data()
        while self._pending:
            self._on_signal(self._pending.pop(0))
        now = time.monotonic()
        for member in self.members:
            member.turn(now)
        if self._stopping_since is None:
            self._start_what_may(now)
        else:
            self._stop_next(now)
        self._tell(now)

    def _time_to_wait(self) -> float:
        if self._pending:
            return 0.0
        deadline = min((member.deadline() for member in self.members), default=math.inf)
        wait = min(deadline, self._notifier.deadline) - time.monotonic()
        # While not all is started, some wait for the patience of others: look more often.
        longest = TURN_MAX_SECS if self._ready_told and self._stopping_since is None else 0.2
        return min(max(wait, TURN_MIN_SECS), longest)

    def _start_what_may(self, now: float) -> None:
        for member in self.members:
            if member.machine.wanted:
                continue
            if may_start(member.level, [other.standing(now) for other in self.members]):
                member.start(now)

    def _stop_next(self, now: float) -> None:
        level = next_to_stop(member.level for member in self.members if member.machine.alive)
        for member in self.members:
            if member.machine.wanted and (member.level == level or not member.machine.alive):
                member.stop(now)
        for started_level, fields in self._fields_at_level.items():
            if level is None or started_level >= level:
                for field in fields:
                    # With the last copy closed the port refuses connections instead of keeping them waiting.
                    self._sockets[field].close()

    def _finished(self) -> bool:
        return self._stopping_since is not None and not any(m.machine.alive for m in self.members)

    def _note(self, number: int, _: FrameType | None) -> None:
        """Signal handler: nothing but a note; the wakeup descriptor ends the wait."""
        if number != signal.SIGCHLD:
            self._pending.append(signal.Signals(number))

    def _on_signal(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if number is signal.SIGHUP:
            self._on_reload()
        elif self._stopping_since is None:
            self._log.info("stopping", signal=number.name)
            self._stopping_since = now
            self._notifier.stopping()
        elif now - self._stopping_since >= SAME_SIGNAL_SECS and not self._killed:
            self._log.warning("stopping at once: second signal", signal=number.name)
            self._killed = True
            for member in self.members:
                member.kill(now)

    def _on_reload(self) -> None:
        if self._stopping_since is not None:
            return
        self._notifier.reloading()
        try:
            settings, secrets = self._reload()
        # A faulty file, of whatever kind, must not end an appliance that runs well with what it has.
        except Exception as error:  # noqa: BLE001
            self._log.error(
                "reload: configuration or secrets cannot be used, kept as they were", error=str(error)
            )
        else:
            self._adopt(settings, secrets)
        for member in self.members:
            member.reload()
        if self._ready_told:
            self._notifier.ready()

    def _adopt(self, settings: Settings, secrets: Secrets) -> None:
        changed = [
            name.upper()
            for name in Settings.model_fields
            if getattr(settings, name) != getattr(self._settings, name)
        ]
        if changed:
            self._log.warning(
                "reload: settings changed; they take effect when MUTT is restarted", settings=changed
            )
        renewed = secrets != self._secrets
        self._secrets = secrets
        if renewed:
            for member in self.members:
                if isinstance(member, WorkerMember):
                    member.give_secrets(secrets)
        self._log.info("reload: done", secrets_changed=renewed)

    def _tell(self, now: float) -> None:
        self._notifier.alive(now)
        serving = sum(member.machine.serves for member in self.members)
        if self._stopping_since is not None:
            left = sum(member.machine.alive for member in self.members)
            self._notifier.status(f"Stopping: {left} processes left")
            if now >= self._drain_notice_at:
                self._drain_notice_at = now + DRAIN_NOTICE_SECS
                self._notifier.extend(2 * DRAIN_NOTICE_SECS)
            return
        troubled = [m.name for m in self.members if m.machine.state in (State.BACKOFF, State.FATAL)]
        words = f"{serving} of {len(self.members)} processes serve"
        self._notifier.status(words + (f"; in trouble: {', '.join(troubled)}" if troubled else ""))
        if not self._ready_told and serving == len(self.members):
            self._ready_told = True
            self._notifier.ready()
            self._log.info("every process serves", seconds=round(now - self._started_at, 2))

    def _worker(self, pool: Pool, index: int) -> WorkerMember:
        name = f"{pool.role}:{index}"
        return WorkerMember(
            name,
            pool.level,
            Policy.of(self._settings, one_shot=pool.one_shot),
            self._selector,
            module=pool.module,
            make_spec=self._spec_factory(pool, index),
            patience_secs=pool.patience_secs,
        )

    def _spec_factory(self, pool: Pool, index: int) -> SpecFactory:
        def make(channel: socket.socket) -> ChildSpec:
            return ChildSpec(
                role=pool.role,
                index=index,
                settings=self._settings,
                secrets=self._secrets,
                run_id=self._run_id,
                worker_name=pool.worker_name(self._settings.pod_name, self._run_id, index),
                channel=channel,
                sockets={purpose: self._sockets[field] for purpose, field in pool.sockets.items()},
                parent_pid=os.getpid(),
            )

        return make

    def _kill_workers(self) -> None:
        for member in self.members:
            if isinstance(member, WorkerMember) and member.process is not None:
                member.process.send(signal.SIGKILL)


def _drain(source: socket.socket) -> None:
    """Empty the wakeup socket; what it stands for is in the list of signals, or is a child to reap."""
    try:
        while source.recv(4096):
            pass
    except BlockingIOError:
        return
