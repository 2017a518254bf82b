"""Listening sockets, bound once by the supervisor and shared by every process of a pool.

A port that is taken is one clear error at start, and no connection is refused while a process is
started again: the kernel keeps it until the next one accepts.
"""

from __future__ import annotations

import errno
import os
import socket

from mutt_appliance.config import Settings
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.faults import ConfigError, Fault
from mutt_appliance.supervisor.activation import Activated

BACKLOG = 1024


def listen(
    settings: Settings, fields: list[str], activated: Activated | None = None
) -> dict[str, socket.socket]:
    """A listening socket for each port setting in `fields`; raises ConfigError with every fault.

    What systemd has bound already is used as it is.
    """
    activated = activated or Activated()
    activated.warn_of_unused(settings, fields)
    made: dict[str, socket.socket] = {}
    faults: list[Fault] = []
    for field in fields:
        port: int = getattr(settings, field)
        try:
            made[field] = activated.copy_for(settings, field) or _listen(settings.bind_address, port)
        except OSError as error:
            faults.append(_fault(settings.bind_address, field, port, error))
    if faults:
        for listener in made.values():
            listener.close()
        raise ConfigError(list(dict.fromkeys(faults)))
    return made


def _listen(address: str, port: int) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A port in TIME_WAIT from the run before may be bound at once; one in use may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _fault(address: str, field: str, port: int, error: OSError) -> Fault:
    variable = variable_name(field)
    if error.errno == errno.EADDRINUSE:
        return Fault(
            variable,
            str(port),
            f"port {port} on {address} is already in use",
            f"end the program that listens there (ss -ltnp 'sport = :{port}'), or choose another port",
        )
    if error.errno == errno.EACCES:
        return Fault(
            variable,
            str(port),
            "this user may not listen on that port",
            "choose one above 1023, or give the service the capability CAP_NET_BIND_SERVICE",
        )
    reason = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
    return Fault(
        "BIND_ADDRESS",
        address,
        f"cannot be listened on: {reason}",
        "name an address of this machine, 0.0.0.0 for all, or 127.0.0.1 for this machine only",
    )
