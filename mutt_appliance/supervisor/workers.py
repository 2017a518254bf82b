"""Members that are roles of our own: they get a `ChildSpec` and report over a channel."""

from __future__ import annotations

import json
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mutt_appliance.process import ChildSpec
from mutt_appliance.secrets import Secrets
from mutt_appliance.supervisor.bootstrap import MESSAGE_MAX_BYTES
from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.supervisor.members import Member
from mutt_appliance.supervisor.processes import Process, WorkerProcess
from mutt_appliance.supervisor.relay import Relay
from mutt_appliance.supervisor.states import Policy

SpecFactory = Callable[[socket.socket, socket.socket], ChildSpec]


class WorkerMember(Member):
    """One process of a pool. `make_spec` builds its spec around the child's ends of a new channel and its output.

    `confirms_reload`: it answers a reload with a report of that kind.
    """

    def __init__(
        self,
        name: str,
        level: int,
        policy: Policy,
        selector: selectors.BaseSelector,
        log_file: LogFile,
        *,
        module: str,
        make_spec: SpecFactory,
        patience_secs: float,
        confirms_reload: bool = False,
    ) -> None:
        super().__init__(name, level, policy, selector, log_file, patience_secs)
        self.confirms_reload = confirms_reload
        self._module = module
        self._make_spec = make_spec
        self._channel: socket.socket | None = None
        self._relay: Relay | None = None

    def reload(self, number: int) -> None:
        """SIGHUP to the process, which is told the number of the reload before."""
        if self.process is not None:
            self._tell(kind="reload", round=number)
            self.process.send(signal.SIGHUP)

    def give_secrets(self, secrets: Secrets) -> None:
        """Send new secrets; the process takes them at its next SIGHUP."""
        self._tell(kind="secrets", values=asdict(secrets))

    def _tell(self, **message: Any) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(json.dumps(message).encode())
        except OSError as error:
            self._log.warning(
                "message was not delivered", child=self.name, kind=message["kind"], error=str(error)
            )

    def _spawn(self, now: float) -> Process:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        relay = Relay(self._selector, self.log_file)
        try:
            process = WorkerProcess(self._make_spec(theirs, relay.far_end), self._module)
        except BaseException:
            ours.close()
            relay.close()
            raise
        finally:
            theirs.close()
            relay.far_end.close()
        self._relay = relay
        self._channel = ours
        self._selector.register(ours, selectors.EVENT_READ, self._listen)
        return process

    def _after_exit(self, code: int) -> None:
        self._listen()
        self._hang_up()
        if self._relay is not None:
            self._relay.close()
            self._relay = None

    def _listen(self) -> None:
        """Take every message that is there; the end of the channel is no more than that."""
        while self._channel is not None:
            try:
                packet = self._channel.recv(MESSAGE_MAX_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._hang_up()
                return
            self._take(packet)

    def _take(self, packet: bytes) -> None:
        try:
            message: dict[str, Any] = json.loads(packet)
            kind = str(message["kind"])
        except (ValueError, KeyError, TypeError):
            self._log.warning("message of a process is not understood", child=self.name)
            return
        now = time.monotonic()
        if kind == "beat":
            self.machine.beat(now)
            return
        self.reports[kind] = message
        if kind == "ready":
            self.machine.ready(now)
            self._log_change()

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._selector.unregister(self._channel)
            self._channel.close()
            self._channel = None
