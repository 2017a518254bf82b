"""The `mutt` command. Each subcommand is imported only when it is called: the start must be quick."""

from __future__ import annotations

import importlib
import multiprocessing
from pathlib import Path

import click

from mutt_appliance import __version__

# Name of the command -> "module:click command".
COMMANDS: dict[str, str] = {
    "config": "mutt_appliance.cli.config:command",
    "demo": "mutt_appliance.cli.demo:command",
    "migrate": "mutt_appliance.cli.migrate:command",
    "rsyslog-forward": "mutt_appliance.cli.rsyslog_forward:command",
    "rules": "mutt_appliance.cli.rules:command",
    "run": "mutt_appliance.cli.run:command",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, in alphabetical order."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now if it is in the table."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = target.partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
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


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"mutt {__version__}")


def main() -> None:
    """Entry point of `mutt` and of `python -m mutt_appliance`."""
    # In a frozen binary a child process is this very program with its work in argv; it never returns from here.
    multiprocessing.freeze_support()
    cli(prog_name="mutt")
