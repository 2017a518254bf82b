"""`mutt-ctl start`, `stop`, `restart`, `scale` and `shutdown`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import click

from mutt_appliance.cli.ctl_client import EXIT_FAILED, ControlError, call, do, words
from mutt_appliance.cli.ctl_progress import progress
from mutt_appliance.control.names import group_of
from mutt_appliance.supervisor.pidfile import running_pid

# The appliance has limits of its own for a start and a stop, and says when they pass.
WAIT_SECS = 900.0
SCALE_WAIT_SECS = 120.0
POLL_SECS = 0.1
AS_WANTED = ("ALREADY_STARTED", "NOT_RUNNING")

NAMES = click.argument("names", metavar="NAME...", nargs=-1, required=True)


@click.command(short_help="Start processes, and wait until they serve.")
@NAMES
@click.pass_obj
def start(runtime_dir: Path, names: tuple[str, ...]) -> None:
    """Start processes: NAME is alerter:0, a whole pool (alerter), or all. Waits until they serve."""
    _each(runtime_dir, names, lambda name: _start(runtime_dir, name))


@click.command(short_help="Stop processes; they stay stopped.")
@NAMES
@click.pass_obj
def stop(runtime_dir: Path, names: tuple[str, ...]) -> None:
    """Stop processes: NAME is alerter:0, a whole pool (alerter), or all. They stay stopped.

    A process finishes what it has in hand first. Only `mutt-ctl start`, or a restart of the appliance,
    starts them again.
    """
    # Those that others need come first in the table, and so last here.
    _each(runtime_dir, names, lambda name: _stop(runtime_dir, name), backwards=True)


@click.command(short_help="Restart processes, one after the other.")
@NAMES
@click.pass_obj
def restart(runtime_dir: Path, names: tuple[str, ...]) -> None:
    """Restart processes: NAME is alerter:0, a whole pool (alerter), or all.

    One after the other, so that the rest of a pool goes on working.
    """

    def again(name: str) -> None:
        if _is_running(runtime_dir, name):
            _stop(runtime_dir, name)
        _start(runtime_dir, name)

    _each(runtime_dir, names, again)


@click.command(short_help="Have another number of processes of a role.")
@click.argument("role")
@click.argument("count", type=click.IntRange(1, 64))
@click.pass_obj
def scale(runtime_dir: Path, role: str, count: int) -> None:
    """Have COUNT processes of ROLE: alerter, forwarder or ingestor.

    Holds until the appliance is started again; ALERTER_WORKERS, FORWARDER_WORKERS and INGESTOR_WORKERS in
    /etc/mutt/mutt.env make it last. Those that leave finish what they have in hand.
    """
    before = do(runtime_dir, "mutt.scale", role, count)["before"]
    deadline = time.monotonic() + SCALE_WAIT_SECS
    with progress(f"{role}: from {before} to {count} processes"):
        while not (settled := _settled(runtime_dir, role, count)) and time.monotonic() < deadline:
            time.sleep(POLL_SECS)
    click.echo(f"{role}: {count} processes (before: {before})")
    if not settled:
        raise ControlError(
            f"{role}: not all of them serve after {SCALE_WAIT_SECS:g} s: mutt-ctl status says why"
        )
    if before != count:
        click.echo(
            f"until the next start; {role.upper()}_WORKERS={count} in /etc/mutt/mutt.env makes it last"
        )


@click.command()
@click.option(
    "--wait",
    "wait_secs",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds to wait; 0: none.",
)
@click.pass_obj
def shutdown(runtime_dir: Path, wait_secs: float) -> None:
    """Drain and stop the appliance.

    Under systemd prefer `systemctl stop mutt.socket mutt`: with the socket left, the next event starts it again.
    """
    number = do(runtime_dir, "mutt.status")["pid"]
    do(runtime_dir, "supervisor.shutdown")
    deadline = time.monotonic() + wait_secs
    with progress(f"process {number} drains"):
        while time.monotonic() < deadline:
            if running_pid(runtime_dir) != number:
                click.echo("stopped")
                return
            time.sleep(POLL_SECS)
    if wait_secs > 0:
        raise ControlError(
            f"process {number} still drains after {wait_secs:g} s: wait longer, or send it SIGTERM"
        )
    click.echo(f"asked process {number} to stop")


def _each(
    runtime_dir: Path, names: Sequence[str], act: Callable[[str], None], *, backwards: bool = False
) -> None:
    """Do `act` for each process that `names` mean; a failure is told and the rest is done."""
    failed = False
    # What has done its one task (initdb, migrator) is no part of a pool or of all.
    known = [p["name"] for p in do(runtime_dir, "mutt.status")["processes"] if p["state"] != "EXITED"]
    wanted = expand(names, known)
    for name in reversed(wanted) if backwards else wanted:
        try:
            act(name)
        except Fault as error:
            if name not in names and error.faultString.partition(":")[0] in AS_WANTED:
                # Of a pool or all, some may be as wanted already.
                click.echo(words(error))
                continue
            click.echo(f"error: {words(error)}", err=True)
            failed = True
    sys.exit(EXIT_FAILED if failed else 0)


def expand(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Pools and `all` become names of processes; a name that is none is kept for the appliance to refuse."""
    wanted: list[str] = []
    for name in names:
        group = name.removesuffix(":*")
        if name == "all":
            wanted += known
        elif any(group_of(process) == group for process in known):
            wanted += [process for process in known if group_of(process) == group]
        else:
            wanted.append(name)
    return list(dict.fromkeys(wanted))


def _start(runtime_dir: Path, name: str) -> None:
    with progress(f"{name}: starting"):
        call(runtime_dir, "supervisor.startProcess", name, timeout_secs=WAIT_SECS)
    click.echo(f"{name}: started")


def _stop(runtime_dir: Path, name: str) -> None:
    with progress(f"{name}: stopping"):
        call(runtime_dir, "supervisor.stopProcess", name, timeout_secs=WAIT_SECS)
    click.echo(f"{name}: stopped")


def _is_running(runtime_dir: Path, name: str) -> bool:
    info: dict[str, Any] = call(runtime_dir, "supervisor.getProcessInfo", name)
    return info["statename"] in ("RUNNING", "STARTING", "BACKOFF")


def _settled(runtime_dir: Path, role: str, count: int) -> bool:
    pool = [p for p in do(runtime_dir, "mutt.status")["processes"] if group_of(p["name"]) == role]
    return len(pool) == count and all(process["serves"] or process["held"] for process in pool)
