"""`mutt demo`: the whole appliance with sample rules and traffic."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
from rich.console import Console

from mutt_appliance.config import ConfigError
from mutt_appliance.demo.places import FolderError
from mutt_appliance.demo.session import Options, demonstrate
from mutt_appliance.demo.traffic import RefusedRequestError
from mutt_appliance.resources import ResourceError
from mutt_appliance.secrets import SecretsError
from mutt_appliance.store.rule_files import RuleFilesError

# Their texts name the thing and the way out.
EXPECTED = (ConfigError, FolderError, RefusedRequestError, ResourceError, RuleFilesError, SecretsError)


@click.command(short_help="Show the whole appliance at work, with nothing installed.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    help="Length of the traffic. [default: until Ctrl-C]",
)
@click.option(
    "--rate", type=click.IntRange(1, 2_000), default=100, show_default=True, help="Events per second."
)
@click.option("--no-tty", is_flag=True, help="Lines of progress instead of the live view.")
@click.option("--keep", is_flag=True, help="Keep the folder with data, settings, keys and log.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Use this folder and keep it. [default: a new one below $TMPDIR, removed at the end]",
)
def command(seconds: float | None, rate: int, no_tty: bool, keep: bool, folder: Path | None) -> None:
    """Show the whole appliance at work on this machine, with nothing installed.

    Starts Redis, PostgreSQL and MUTT on the loopback address, loads the starter rules, sends syslog and
    trap messages, and receives the alerts in place of Moogsoft, now and then with an error. Ctrl-C stops
    it and prints what became of every event; a second one stops it at once.

    Exit code: 0, or 1 when an event was lost or the appliance failed.
    """
    console = Console(soft_wrap=True) if no_tty else Console()
    options = Options(seconds, rate, console.is_terminal and not no_tty, keep, folder)
    try:
        sys.exit(asyncio.run(demonstrate(options, console)))
    except (*EXPECTED, OSError) as error:
        raise click.ClickException(str(error)) from error
