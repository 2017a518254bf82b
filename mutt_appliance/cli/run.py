"""`mutt run`: the whole appliance in the foreground."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from setproctitle import setproctitle

from mutt_appliance.cli.configuration import load_or_exit
from mutt_appliance.config import ConfigError, Settings, load
from mutt_appliance.config.faults import EXIT_CONFIG
from mutt_appliance.secrets import Secrets, SecretsError, load_secrets_file
from mutt_appliance.supervisor.loop import Supervisor
from mutt_appliance.supervisor.programs import ProgramError
from mutt_appliance.supervisor.roles import Pool, pools
from mutt_appliance.telemetry.logs import configure_logging


@click.command()
@click.pass_obj
def command(env_file: Path | None) -> None:
    """Run the appliance until SIGTERM or Ctrl-C; a second one ends it at once.

    SIGHUP reads secrets and rules again. Exit code 78: the configuration cannot be used.
    """
    settings = load_or_exit(env_file)
    sys.exit(supervise(settings, pools(settings), env_file))


def supervise(settings: Settings, table: list[Pool], env_file: Path | None) -> int:
    """Supervise the pools of `table` until a signal ends it; exit code of the process."""
    configure_logging(settings.log_level, settings.log_format, process="supervisor")
    setproctitle("mutt: supervisor")

    def reload() -> tuple[Settings, Secrets]:
        now = load(os.environ, env_file).settings
        return now, load_secrets_file(now.mutt_secrets_file)

    try:
        secrets = load_secrets_file(settings.mutt_secrets_file)
        supervisor = Supervisor(settings, secrets, table, reload)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"error: {fault}", err=True)
        return EXIT_CONFIG
    except (SecretsError, ProgramError) as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_CONFIG
    return supervisor.run()
