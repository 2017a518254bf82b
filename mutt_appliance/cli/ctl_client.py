"""How mutt-ctl reaches the appliance: the control client, with errors that end a command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from dotenv import dotenv_values

from mutt_appliance.control import client
from mutt_appliance.control.client import ANSWER_SECS, socket_path, words

__all__ = [
    "EXIT_FAILED",
    "EXIT_NOT_RUNNING",
    "EXIT_NO_PRIVILEGE",
    "ControlError",
    "NotRunningError",
    "call",
    "default_runtime_dir",
    "do",
    "reaching",
    "socket_path",
    "words",
]

# The settings know these too; to import all of them would double the time that mutt-ctl takes.
DEFAULT_RUNTIME_DIR = Path("/run/mutt")
DEFAULT_ENV_FILE = Path("/etc/mutt/mutt.env")

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


def call(runtime_dir: Path, method: str, *params: Any, timeout_secs: float = ANSWER_SECS) -> Any:
    """Result of the call `method` ("mutt.status"); raises Fault, or ControlError when nobody answers."""
    with _ending_the_command():
        return client.call(runtime_dir, method, *params, timeout_secs=timeout_secs)


def do(runtime_dir: Path, method: str, *params: Any, timeout_secs: float = ANSWER_SECS) -> Any:
    """As `call`; a fault ends the command with its text."""
    with _ending_the_command():
        return client.do(runtime_dir, method, *params, timeout_secs=timeout_secs)


@contextmanager
def reaching(runtime_dir: Path, timeout_secs: float) -> Iterator[None]:
    """What goes wrong on the way to the socket ends the command."""
    with _ending_the_command(), client.reaching(runtime_dir, timeout_secs):
        yield


@contextmanager
def _ending_the_command() -> Iterator[None]:
    try:
        yield
    except client.NotRunningError as error:
        raise NotRunningError(str(error)) from error
    except client.NoPrivilegeError as error:
        raise NoPrivilegeError(str(error)) from error
    except client.ControlError as error:
        raise ControlError(str(error)) from error
