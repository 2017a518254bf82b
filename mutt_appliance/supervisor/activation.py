"""Listening sockets that systemd bound before it started us: sd_listen_fds(3).

systemd keeps its own copy, so while MUTT is stopped or upgraded the kernel queues connections
instead of refusing them. Such a socket must never be shut down: that would end systemd's copy too.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field

from mutt_appliance.config import Settings
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.telemetry.logs import get_logger

FIRST_DESCRIPTOR = 3
MAX_SOCKETS = 64
ANY_ADDRESSES = frozenset({"", "::", "0.0.0.0"})  # noqa: S104
VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


@dataclass(frozen=True)
class Activated:
    """TCP sockets from systemd, by port. They stay open as long as this process lives."""

    by_port: dict[int, socket.socket] = field(default_factory=dict)

    def copy_for(self, settings: Settings, name: str) -> socket.socket | None:
        """A copy of the socket whose port is that of the setting `name`; the caller closes it."""
        found = self.by_port.get(getattr(settings, name))
        if found is None:
            return None
        address = found.getsockname()[0]
        if address != settings.bind_address and not {address, settings.bind_address} <= ANY_ADDRESSES:
            get_logger("supervisor.activation").warning(
                "systemd's socket listens on another address than BIND_ADDRESS asks for, and is used as it is: "
                "set ListenStream=ADDRESS:PORT in a drop-in (systemctl edit mutt.socket)",
                socket=address_of(found),
                bind_address=settings.bind_address,
            )
        return found.dup()

    def warn_of_unused(self, settings: Settings, names: Iterable[str]) -> None:
        """Say which sockets fit none of the settings `names`: connections to them would wait for ever."""
        ports = {variable_name(name): getattr(settings, name) for name in names}
        for port, listener in self.by_port.items():
            if port not in ports.values():
                get_logger("supervisor.activation").warning(
                    "mutt.socket listens on a port that no setting has, and nobody answers there: give both the "
                    "same port (systemctl edit mutt.socket: [Socket] ListenStream= and ListenStream=PORT)",
                    socket=address_of(listener),
                    settings=ports,
                )


def take_sockets(environ: MutableMapping[str, str], *, frozen: bool) -> Activated:
    """The sockets meant for this process, and their variables out of `environ`: children are not to take them.

    In a one-file binary systemd knows the loader, our parent, by LISTEN_PID. What is not a listening
    TCP socket is left alone with a warning.
    """
    values = {name: environ.pop(name, "") for name in VARIABLES}
    ours = {os.getpid(), os.getppid()} if frozen else {os.getpid()}
    if not values["LISTEN_PID"].isdigit() or int(values["LISTEN_PID"]) not in ours:
        return Activated()
    count = int(values["LISTEN_FDS"]) if values["LISTEN_FDS"].isdigit() else 0
    by_port: dict[int, socket.socket] = {}
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + min(count, MAX_SOCKETS)):
        listener = _listening_socket(descriptor)
        if listener is not None:
            by_port[listener.getsockname()[1]] = listener
    return Activated(by_port)


def address_of(listener: socket.socket) -> str:
    """`[::]:8080`, as ss(8) writes it."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listening_socket(descriptor: int) -> socket.socket | None:
    try:
        os.set_inheritable(descriptor, False)
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        get_logger("supervisor.activation").warning(
            "descriptor from systemd is no socket", descriptor=descriptor, error=str(error)
        )
        return None
    internet = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
    if internet and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.setblocking(True)
        return listener
    get_logger("supervisor.activation").warning(
        "socket from systemd is not used: MUTT takes listening TCP sockets only (ListenStream=PORT, Accept=no)",
        descriptor=descriptor,
    )
    listener.detach()
    return None
