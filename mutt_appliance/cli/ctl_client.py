"""How mutt-ctl reaches the appliance: XML-RPC over the control socket, and clear words when that fails."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

import click
from dotenv import dotenv_values

# The settings know these too; to import all of them would double the time that mutt-ctl takes.
DEFAULT_RUNTIME_DIR = Path("/run/mutt")
DEFAULT_ENV_FILE = Path("/etc/mutt/mutt.env")
SOCKET_NAME = "control.sock"
ANSWER_SECS = 15.0

# "program is not running" and "insufficient privilege" of the init script actions in the
# Linux Standard Base Core Specification, 22.2.
EXIT_FAILED = 1
EXIT_NO_PRIVILEGE = 4
EXIT_NOT_RUNNING = 7


class ControlError(click.ClickException):
    """Why the appliance could not be asked, or did not do it; ends the command with `exit_code`."""

    exit_code = EXIT_FAILED

    def show(self, file: Any = None) -> None:
        """Print it as every other error of MUTT."""
        click.echo(f"error: {self.message}", err=True)


class NotRunningError(ControlError):
    """There is no such appliance, or no such process."""

    exit_code = EXIT_NOT_RUNNING


class NoPrivilegeError(ControlError):
    """This user may not do that."""

    exit_code = EXIT_NO_PRIVILEGE


def default_runtime_dir() -> Path:
    """MUTT_RUNTIME_DIR as the appliance would see it; the other settings need not be right for that."""
    value = os.environ.get("MUTT_RUNTIME_DIR")
    if not value:
        file = Path(os.environ.get("MUTT_ENV_FILE") or DEFAULT_ENV_FILE)
        try:
            value = dotenv_values(file, interpolate=False).get("MUTT_RUNTIME_DIR") if file.exists() else None
        except (OSError, UnicodeDecodeError):
            # Not ours to read: then the default it is, and the socket says whether it is right.
            value = None
    return Path(value) if value else DEFAULT_RUNTIME_DIR


def socket_path(runtime_dir: Path) -> Path:
    """Where the control socket of the appliance on `runtime_dir` is."""
    return runtime_dir / SOCKET_NAME


def call(runtime_dir: Path, method: str, *params: Any, timeout_secs: float = ANSWER_SECS) -> Any:
    """Result of the call `method` ("mutt.status"); raises Fault, or ControlError when nobody answers."""
    from supervisor.xmlrpc import SupervisorTransport

    with reaching(runtime_dir, timeout_secs):
        # The transport has no timeout of its own.
        socket.setdefaulttimeout(timeout_secs)
        transport = SupervisorTransport(serverurl=f"unix://{socket_path(runtime_dir)}")
        try:
            with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy, method)(*params)
        finally:
            transport.close()


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


def do(runtime_dir: Path, method: str, *params: Any, timeout_secs: float = ANSWER_SECS) -> Any:
    """As `call`; a fault ends the command with its text."""
    try:
        return call(runtime_dir, method, *params, timeout_secs=timeout_secs)
    except Fault as error:
        raise ControlError(words(error)) from error


def words(error: Fault) -> str:
    """A fault without its number: `alerter:9: no such process: …`."""
    code, _, about = error.faultString.partition(": ")
    meaning = _MEANINGS.get(code)
    if meaning is None:
        return about or error.faultString
    return f"{about}: {meaning}" if about else meaning


_MEANINGS = {
    "BAD_NAME": "no such process: mutt-ctl status lists them",
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
