"""The supervisor: one loop that starts, watches, restarts and stops."""

from __future__ import annotations

import math
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from mutt_appliance.config import Settings
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.control.desk import Desk
from mutt_appliance.control.server import ControlServer
from mutt_appliance.process import ChildSpec
from mutt_appliance.secrets import Secrets
from mutt_appliance.secrets.source import Source
from mutt_appliance.supervisor.activation import Activated
from mutt_appliance.supervisor.embedded import embedded_members
from mutt_appliance.supervisor.folders import make_data_folder, make_runtime_folder, make_telemetry_folders
from mutt_appliance.supervisor.log_file import log_of
from mutt_appliance.supervisor.members import Member
from mutt_appliance.supervisor.notify import Notifier
from mutt_appliance.supervisor.order import may_start, next_to_stop
from mutt_appliance.supervisor.pidfile import PidFile
from mutt_appliance.supervisor.reloads import RELOAD_TIMEOUT_SECS, Round
from mutt_appliance.supervisor.roles import Pool, new_run_id
from mutt_appliance.supervisor.sockets import listen
from mutt_appliance.supervisor.states import Policy
from mutt_appliance.supervisor.status_line import Standing, status_line
from mutt_appliance.supervisor.workers import SpecFactory, WorkerMember
from mutt_appliance.telemetry.health import forget
from mutt_appliance.telemetry.logs import get_logger, set_log_level
from mutt_appliance.telemetry.priorities import stderr_is_journal
from mutt_appliance.telemetry.process_table import ProcessRow, ProcessTable
from mutt_appliance.telemetry.source_health import SourceBoard

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A signal to the whole process group may reach us twice (once from the loader of a one-file
# binary): only one that comes later than this after the first means "now".
SAME_SIGNAL_SECS = 1.0
# Reloads that SIGHUPs ask for are so far apart: a storm of them must not keep anybody from work.
HANGUP_REST_SECS = 0.2
TURN_MAX_SECS = 5.0
TURN_MIN_SECS = 0.005
DRAIN_NOTICE_SECS = 5.0
MAX_PROCESSES = 64
MAIN_LOG = "supervisor"

Reload = Callable[[], tuple[Settings, Secrets]]


class Supervisor:
    """Supervises the processes of `pools`, and the stores in embedded mode.

    The constructor makes folders, takes the pid file and binds the sockets; it raises ConfigError
    or ProgramError. `reload` gives settings and secrets as they are now; it may raise. `source` may bring
    other secrets at any time; `otel` are OpenTelemetry's variables. All methods belong to the thread of `run`;
    others reach it through `desk`.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        pools: list[Pool],
        reload: Reload,
        notifier: Notifier | None = None,
        activated: Activated | None = None,
        source: Source | None = None,
        otel: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._read_again = reload
        self.source = source
        self._source_board = SourceBoard(settings.mutt_runtime_dir)
        self._otel = otel or {}
        self._log_level: str = settings.log_level
        self._log = get_logger("supervisor.loop")
        self._selector = selectors.DefaultSelector()
        self._notifier = notifier or Notifier()
        self.run_id = new_run_id()
        self._pending: list[signal.Signals] = []
        self._hangup_at = 0.0
        self._stopping_since: float | None = None
        self._killed = False
        self.restart_wanted = False
        self.status_line = ""
        self.round: Round | None = None
        self.ready = False
        self._started_at = time.monotonic()
        self.started_at = time.time()
        self._drain_notice_at = 0.0
        make_runtime_folder(settings)
        self._locks = [PidFile(settings.mutt_runtime_dir, "MUTT_RUNTIME_DIR")]
        if settings.embedded:
            make_data_folder(settings)
            self._locks.append(PidFile(settings.mutt_data_dir, "MUTT_DATA_DIR"))
        for lock in self._locks:
            lock.acquire()
        make_telemetry_folders(settings, [pool.role for pool in pools])
        self._wakeup, self._wakeup_writer = socket.socketpair()
        self._wakeup.setblocking(False)
        self._wakeup_writer.setblocking(False)
        self.desk = Desk(self._wake)
        self.main_log = log_of(settings.mutt_runtime_dir, MAIN_LOG)
        self._table = ProcessTable(settings.mutt_runtime_dir)
        self._control = ControlServer(settings.mutt_runtime_dir, self)
        self._sockets = listen(
            settings, [field for pool in pools for field in pool.sockets.values()], activated
        )
        self._fields_at_level: dict[int, list[str]] = {}
        self._pools = {pool.role: pool for pool in pools}
        self.members: list[Member] = []
        if settings.embedded:
            self.members += embedded_members(settings, self._selector)
        for pool in pools:
            self._fields_at_level.setdefault(pool.level, []).extend(pool.sockets.values())
            self.members += [self._worker(pool, index) for index in range(pool.count)]

    def run(self) -> int:
        """Supervise until a signal ends it; exit code of the main process."""
        signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note)
        self._selector.register(self._wakeup, selectors.EVENT_READ, lambda: _drain(self._wakeup))
        self._log.info("supervisor started", run_id=self.run_id, children=len(self.members))
        try:
            self._control.start()
            if self.source is not None:
                self.source.watch(self._wake)
            self._start_what_may(time.monotonic())
            while not self._finished():
                self._turn()
        except BaseException:
            # At our exit the kernel gives the stores their stop signal; Python would wait for the workers.
            self._kill_workers()
            raise
        finally:
            signal.set_wakeup_fd(-1)
            self._control.close()
            for listener in self._sockets.values():
                listener.close()
            for lock in self._locks:
                lock.release()
        self._log.info("supervisor stopped", forced=self._killed)
        return 1 if self._killed else 0

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._time_to_wait()):
            key.data()
        self._take_signals()
        self.desk.serve()
        self._take_news()
        now = time.monotonic()
        for member in self.members:
            member.turn(now)
        self._clear_away()
        if self._stopping_since is None:
            self._start_what_may(now)
        else:
            self._stop_next(now)
        self._finish_reload(now)
        self._tell(now)
        self.desk.turned()

    def _wake(self) -> None:
        """End the wait of the loop; from any thread."""
        try:
            self._wakeup_writer.send(b"\0")
        except OSError:
            # Full: it wakes anyway. Closed: nobody waits any more.
            return

    def _clear_away(self) -> None:
        """Take what is gone for good out of the table and out of the pool's health."""
        for member in self.members:
            if (member.held or member.retiring) and not member.machine.alive:
                forget(self._settings.mutt_runtime_dir, member.name)
        self.members = [m for m in self.members if not m.retiring or m.machine.alive]

    def _time_to_wait(self) -> float:
        deadline = min((member.deadline() for member in self.members), default=math.inf)
        if self._pending:
            deadline = min(deadline, self._hangup_at)
        wait = min(deadline, self._notifier.deadline) - time.monotonic()
        # While not all is started, some wait for the patience of others: look more often.
        longest = TURN_MAX_SECS if self.ready and self._stopping_since is None else 0.2
        return min(max(wait, TURN_MIN_SECS), longest)

    def _start_what_may(self, now: float) -> None:
        for member in self.members:
            if member.machine.wanted or member.held or member.retiring:
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
        """Signal handler: nothing but a note; the wakeup descriptor ends the wait.

        One that came again before it was looked at is one, as for the kernel.
        """
        if number != signal.SIGCHLD and number not in self._pending:
            self._pending.append(signal.Signals(number))

    def _take_signals(self) -> None:
        for number in tuple(self._pending):
            if number is signal.SIGHUP and time.monotonic() < self._hangup_at:
                continue
            self._pending.remove(number)
            self._on_signal(number)

    def _on_signal(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if number is signal.SIGHUP:
            self._hangup_at = now + HANGUP_REST_SECS
            self.reload()
        elif self._stopping_since is None:
            self.stop(number.name)
        elif now - self._stopping_since >= SAME_SIGNAL_SECS and not self._killed:
            self._log.warning("stopping at once: second signal", signal=number.name)
            self._killed = True
            for member in self.members:
                member.kill(now)

    @property
    def secrets(self) -> Secrets:
        """Those that processes are started with now."""
        return self._secrets

    @property
    def stopping(self) -> bool:
        """True once the drain has begun."""
        return self._stopping_since is not None

    @property
    def runtime_dir(self) -> Path:
        """Folder of the sockets, logs and health files of this run."""
        return self._settings.mutt_runtime_dir

    @property
    def restart_limit_secs(self) -> tuple[float, float]:
        """How long (a start, a stop) of one process may take, with some room."""
        return self._settings.start_timeout + 5, self._settings.drain_timeout + 10

    def stop(self, reason: str, *, restart: bool = False) -> None:
        """Drain and end; with `restart`, to begin again with the configuration as it is then."""
        if self._stopping_since is not None:
            return
        self._log.info("stopping", signal=reason, restart=restart)
        self._stopping_since = time.monotonic()
        self.restart_wanted = restart
        if restart:
            # systemd would take a STOPPING=1 for the end of the service.
            self._notifier.reloading()
        else:
            self._notifier.stopping()

    def scale(self, role: str, count: int) -> int:
        """Have `count` processes in the pool `role`, until the next start; gives the number before.

        Raises ValueError with the reason when that cannot be.
        """
        pool = self._pools.get(role)
        field = f"{role}_workers"
        if pool is None or field not in Settings.model_fields:
            known = sorted(name for name in self._pools if f"{name}_workers" in Settings.model_fields)
            raise ValueError(f"{role}: no pool that can be scaled: choose one of {', '.join(known)}")
        if not 1 <= count <= MAX_PROCESSES:
            raise ValueError(
                f"{role}: {count} processes: choose 1 to {MAX_PROCESSES} "
                f"({variable_name(field)} sets the number at start)"
            )
        members = [m for m in self.members if m.name.partition(":")[0] == role and not m.retiring]
        leaving = [
            m.name for m in self.members if m.retiring and m.name in {f"{role}:{n}" for n in range(count)}
        ]
        if leaving:
            raise ValueError(f"{', '.join(leaving)}: still stopping: try again in a moment")
        now = time.monotonic()
        for member in members:
            if _index(member.name) >= count:
                member.retiring = True
                member.stop(now)
        there = {_index(member.name) for member in members}
        self.members += [self._worker(pool, index) for index in range(count) if index not in there]
        self._log.info("pool scaled", role=role, before=len(members), now=count)
        return len(members)

    def reload(self) -> Round:
        """Read configuration and secrets again, and have the processes do the same; gives the round begun."""
        now = time.monotonic()
        number = self.round.number + 1 if self.round is not None else 1
        this = self.round = Round(number, {}, now + RELOAD_TIMEOUT_SECS)
        if self._stopping_since is not None:
            this.error = "the appliance is stopping"
            return this
        self._notifier.reloading()
        try:
            settings, secrets = self._read_again()
        # A faulty file, of whatever kind, must not end an appliance that runs well with what it has.
        except Exception as error:  # noqa: BLE001
            self._log.error(
                "reload: configuration or secrets cannot be used, kept as they were", error=str(error)
            )
            this.error = str(error)
        else:
            self._adopt(settings, secrets, this)
            if self.source is not None:
                this.asked_source = self.source.ask()
        for member in self.members:
            if isinstance(member, WorkerMember) and member.confirms_reload and member.pid is not None:
                this.pids[member.name] = member.pid
            member.reload(this.number)
        return this

    def _finish_reload(self, now: float) -> None:
        """Tell systemd once every process has answered the last reload."""
        this = self.round
        if this is None or this.done_told:
            return
        this.look(self.members, now)
        if not this.done:
            return
        this.done_told = True
        for answer in this.answers.values():
            if not answer.ok:
                self._log.error("reload: a process keeps what it had", child=answer.name, error=answer.error)
        if self.ready and self._stopping_since is None:
            self._notifier.ready()

    def _adopt(self, settings: Settings, secrets: Secrets, this: Round) -> None:
        changed = [
            variable_name(name)
            for name in Settings.model_fields
            if getattr(settings, name) != getattr(self._settings, name)
        ]
        if changed:
            self._log.warning(
                "reload: settings changed; they take effect when MUTT is restarted", settings=changed
            )
        this.changed_settings, this.secrets_changed = changed, self._renew(secrets)
        self._log.info("reload: done", secrets_changed=this.secrets_changed)

    def _renew(self, secrets: Secrets) -> bool:
        """Hand other secrets to the processes, which take them at their next SIGHUP; True if they are others."""
        if secrets == self._secrets:
            return False
        self._secrets = secrets
        for member in self.members:
            if isinstance(member, WorkerMember):
                member.give_secrets(secrets)
        return True

    def _take_news(self) -> None:
        """Secrets that the source found to have changed: as a reload, but of secrets only."""
        for news in self.source.take() if self.source is not None else ():
            renewed = self._renew(news.secrets)
            if self.round is not None:
                self.round.source_answered(news.answers, news.error, renewed=renewed)
            if not renewed:
                continue
            self._log.info("secrets renewed without a reload")
            for member in self.members:
                if isinstance(member, WorkerMember) and member.process is not None:
                    member.process.send(signal.SIGHUP)

    def _tell(self, now: float) -> None:
        self._notifier.alive(now)
        trouble = self._tell_of_source()
        self._table.show([ProcessRow(m.name, m.machine.serves, max(0, m.spawns - 1)) for m in self.members])
        if self._stopping_since is not None:
            left = sum(member.machine.alive for member in self.members)
            self._say(f"Stopping: {left} processes left")
            if now >= self._drain_notice_at:
                self._drain_notice_at = now + DRAIN_NOTICE_SECS
                self._notifier.extend(2 * DRAIN_NOTICE_SECS)
            return
        self._follow_log_level()
        pipeline = next((m.reports["pipeline"] for m in self.members if "pipeline" in m.reports), None)
        line = status_line([Standing.of(member) for member in self.members], pipeline)
        self._say(f"{line}; secrets: {trouble}" if trouble else line)
        if not self.ready and all(m.machine.serves or m.held for m in self.members):
            self.ready = True
            self._notifier.ready()
            self._log.info("every process serves", seconds=round(now - self._started_at, 2))

    def _tell_of_source(self) -> str:
        """Have the web UI know, for /health and /metrics, how the source of secrets is; what is wrong with it."""
        if self.source is None:
            return ""
        state = self.source.state
        self._source_board.tell(state)
        return "" if state.ok else state.detail

    def _follow_log_level(self) -> None:
        """The web UI tells which level is in force: we have no Redis of our own to ask."""
        told = next((m.reports["log_level"]["level"] for m in self.members if "log_level" in m.reports), None)
        if told is not None and told != self._log_level:
            self._log_level = told
            set_log_level(told)
            self._log.info("log level in force", log_level=told)

    def _say(self, words: str) -> None:
        self.status_line = words
        self._notifier.status(words)

    def _worker(self, pool: Pool, index: int) -> WorkerMember:
        name = f"{pool.role}:{index}"
        return WorkerMember(
            name,
            pool.level,
            Policy.of(self._settings, one_shot=pool.one_shot),
            self._selector,
            log_of(self._settings.mutt_runtime_dir, name),
            module=pool.module,
            make_spec=self._spec_factory(pool, index),
            patience_secs=pool.patience_secs,
            confirms_reload=pool.confirms_reload,
        )

    def _spec_factory(self, pool: Pool, index: int) -> SpecFactory:
        def make(channel: socket.socket, output: socket.socket) -> ChildSpec:
            return ChildSpec(
                role=pool.role,
                index=index,
                settings=_with_our_log_format(self._settings),
                secrets=self._secrets,
                run_id=self.run_id,
                worker_name=pool.worker_name(self._settings.pod_name, self.run_id, index),
                channel=channel,
                sockets={purpose: self._sockets[field] for purpose, field in pool.sockets.items()},
                parent_pid=os.getpid(),
                output=output,
                otel=self._otel,
                log_priorities=stderr_is_journal(),
            )

        return make

    def _kill_workers(self) -> None:
        for member in self.members:
            if isinstance(member, WorkerMember) and member.process is not None:
                member.process.send(signal.SIGKILL)


def _index(name: str) -> int:
    return int(name.partition(":")[2])


def _with_our_log_format(settings: Settings) -> Settings:
    """What "auto" means to us: a child does not see our terminal."""
    if settings.log_format != "auto":
        return settings
    return settings.model_copy(update={"log_format": "console" if sys.stderr.isatty() else "json"})


def _drain(source: socket.socket) -> None:
    """Empty the wakeup socket; what it stands for is in the list of signals, or is a child to reap."""
    try:
        while source.recv(4096):
            pass
    except BlockingIOError:
        return
