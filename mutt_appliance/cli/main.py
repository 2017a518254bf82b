"""The `mutt` command. Each subcommand is imported only when it is called: the start must be quick."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import click

from mutt_appliance import __version__
from mutt_appliance.cli.lazy import LazyGroup

# Name of the command -> "module:click command".
COMMANDS: dict[str, str] = {
    "config": "mutt_appliance.cli.config:command",
    "demo": "mutt_appliance.cli.demo:command",
    "migrate": "mutt_appliance.cli.migrate:command",
    "rsyslog-forward": "mutt_appliance.cli.rsyslog_forward:command",
    "rules": "mutt_appliance.cli.rules:command",
    "run": "mutt_appliance.cli.run:command",
    "version": "mutt_appliance.cli.version:command",
}


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of KEY=value lines; the environment wins over it. [default: $MUTT_ENV_FILE, /etc/mutt/mutt.env]",
)
@click.version_option(__version__, prog_name="mutt")
@click.pass_context
def cli(context: click.Context, env_file: Path | None) -> None:
    """MUTT: syslog and SNMP traps in, rules, an audit trail, and alerts out to Moogsoft."""
    context.obj = env_file


def main() -> None:
    """Entry point of `mutt` and of `python -m mutt_appliance`."""
    # In a frozen binary a child process is this very program with its work in argv; it never returns from here.
    multiprocessing.freeze_support()
    cli(prog_name="mutt")
