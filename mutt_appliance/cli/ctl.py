"""`mutt-ctl`: signals to the running appliance, found by its pid file."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from mutt_appliance.config.loading import DEFAULT_ENV_FILE, read_env_file
from mutt_appliance.config.settings import Settings
from mutt_appliance.supervisor.pidfile import running_pid

# "program is not running" and "insufficient privilege" of the init script actions in the
# Linux Standard Base Core Specification, 22.2.
EXIT_NOT_RUNNING = 7
EXIT_NO_PRIVILEGE = 4
POLL_SECS = 0.05


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--runtime-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Runtime folder of the appliance. [default: $MUTT_RUNTIME_DIR, that of the env file, /run/mutt]",
)
@click.pass_context
def cli(context: click.Context, runtime_dir: Path | None) -> None:
    """Control the MUTT appliance that runs on this machine."""
    context.obj = runtime_dir or default_runtime_dir()


@cli.command()
@click.pass_obj
def pid(runtime_dir: Path) -> None:
    """Print the process id of the main process."""
    click.echo(str(_pid_or_exit(runtime_dir)))


@cli.command()
@click.pass_obj
def reload(runtime_dir: Path) -> None:
    """Have secrets, rules and caches read again (SIGHUP)."""
    number = _pid_or_exit(runtime_dir)
    _send(number, signal.SIGHUP)
    click.echo(f"asked process {number} to reload")


@cli.command()
@click.option(
    "--wait", "wait_secs", type=float, default=60.0, show_default=True, help="Seconds to wait; 0: none."
)
@click.pass_obj
def shutdown(runtime_dir: Path, wait_secs: float) -> None:
    """Drain and stop the appliance (SIGTERM)."""
    number = _pid_or_exit(runtime_dir)
    _send(number, signal.SIGTERM)
    deadline = time.monotonic() + wait_secs
    while time.monotonic() < deadline:
        if _running(runtime_dir) != number:
            click.echo("stopped")
            return
        time.sleep(POLL_SECS)
    if wait_secs > 0:
        _fail(
            f"process {number} still drains after {wait_secs:g} s: wait longer, or send it SIGTERM again", 1
        )
    click.echo(f"asked process {number} to stop")


def default_runtime_dir() -> Path:
    """MUTT_RUNTIME_DIR as the appliance would see it; the other settings need not be right for that."""
    env_file = os.environ.get("MUTT_ENV_FILE")
    from_file = read_env_file(Path(env_file) if env_file else DEFAULT_ENV_FILE, required=False)
    value = os.environ.get("MUTT_RUNTIME_DIR") or from_file.get("MUTT_RUNTIME_DIR")
    default: Path = Settings.model_fields["mutt_runtime_dir"].default
    return Path(value) if value else default


def _running(runtime_dir: Path) -> int | None:
    try:
        return running_pid(runtime_dir)
    except OSError as error:
        _fail(
            f"{error.filename}: cannot be read: {error.strerror}: run this as the user that runs MUTT",
            EXIT_NO_PRIVILEGE,
        )


def _pid_or_exit(runtime_dir: Path) -> int:
    number = _running(runtime_dir)
    if number is None:
        _fail(
            f"no appliance runs on {runtime_dir}: start it (systemctl start mutt), "
            "or name its folder with --runtime-dir",
            EXIT_NOT_RUNNING,
        )
    return number


def _send(number: int, what: signal.Signals) -> None:
    try:
        os.kill(number, what)
    except ProcessLookupError:
        _fail(f"process {number} is gone already", EXIT_NOT_RUNNING)
    except PermissionError:
        _fail(
            f"this user may not signal process {number}: run this as root or as the user that runs MUTT",
            EXIT_NO_PRIVILEGE,
        )


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)


def main() -> None:
    """Entry point of `mutt-ctl`."""
    cli(prog_name="mutt-ctl")


if __name__ == "__main__":
    main()
