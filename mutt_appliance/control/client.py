"""The other end of the control socket: XML-RPC calls to the supervisor, and clear words when that fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

SOCKET_NAME = "control.sock"
ANSWER_SECS = 15.0


class ControlError(Exception):
    """Why the appliance could not be asked, or did not do it."""


class NotRunningError(ControlError):
    """There is no such appliance, or no such process."""


class NoPrivilegeError(ControlError):
    """This user may not do that."""


def socket_path(runtime_dir: Path) -> Path:
    """Where the control socket of the appliance on `runtime_dir` is."""
    return runtime_dir / SOCKET_NAME


def call(runtime_dir: Path, method: str, *params: Any, timeout_secs: float = ANSWER_SECS) -> Any:
    """Result of the call `method` ("mutt.status"); raises Fault, or ControlError when nobody answers."""
    # mutt-ctl is there at once when it has nothing to ask.
    from supervisor.xmlrpc import SupervisorTransport, UnixStreamHTTPConnection

    class Connection(UnixStreamHTTPConnection):  # type: ignore[misc]
        """With a timeout, which the transport has none of."""

        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout_secs)
            self.sock.connect(str(socket_path(runtime_dir)))

    with reaching(runtime_dir, timeout_secs):
        transport = SupervisorTransport(serverurl=f"unix://{socket_path(runtime_dir)}")
        transport.connection = None
        transport._get_connection = lambda: Connection("localhost")
        try:
            with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy, method)(*params)
        finally:
            transport.close()


def do(runtime_dir: Path, method: str, *params: Any, timeout_secs: float = ANSWER_SECS) -> Any:
    """As `call`; a fault is a ControlError with its text."""
    try:
        return call(runtime_dir, method, *params, timeout_secs=timeout_secs)
    except Fault as error:
        raise ControlError(words(error)) from error


@contextmanager
def reaching(runtime_dir: Path, timeout_secs: float) -> Iterator[None]:
    """Turn what goes wrong on the way to the socket into ControlError."""
    path = socket_path(runtime_dir)
    try:
        yield
    except TimeoutError as error:
        raise ControlError(
            f"{path}: no answer within {timeout_secs:g} s: the supervisor is busy or frozen; "
            "systemd's watchdog restarts a frozen one (journalctl -u mutt)"
        ) from error
    except (FileNotFoundError, ConnectionError) as error:
        raise NotRunningError(
            f"no appliance runs on {runtime_dir}: start it (systemctl start mutt), "
            "or name its folder with --runtime-dir"
        ) from error
    except PermissionError as error:
        raise _no_privilege(path) from error
    except ProtocolError as error:
        if error.errcode == 403:
            raise _no_privilege(path) from error
        raise ControlError(f"{path}: answered {error.errcode} {error.errmsg}") from error
    except OSError as error:
        raise ControlError(f"{path}: {error.strerror or error}") from error


def words(error: Fault) -> str:
    """A fault without its number: `alerter:9: no such process: …`."""
    code, _, about = error.faultString.partition(": ")
    meaning = _MEANINGS.get(code)
    if meaning is None:
        return about or error.faultString
    return f"{about}: {meaning}" if about else meaning


_MEANINGS = {
    "BAD_NAME": "no such process: mutt-ctl status lists them, alerter:0 and so on",
    "ALREADY_STARTED": "runs already",
    "NOT_RUNNING": "does not run",
    "SHUTDOWN_STATE": "the appliance is stopping",
    "NO_FILE": "there is no such log",
}


def _no_privilege(path: Path) -> NoPrivilegeError:
    return NoPrivilegeError(
        f"{path}: this user may not control the appliance: run this as root, "
        "or as a member of its group (usermod -aG mutt USER, then log in again)"
    )
