"""`mutt run`: the whole appliance in the foreground."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
from setproctitle import setproctitle

from mutt_appliance.cli.configuration import load_or_exit
from mutt_appliance.config import ConfigError, Settings, load
from mutt_appliance.config.faults import EXIT_CONFIG
from mutt_appliance.config.loading import merged_variables
from mutt_appliance.config.otel import HEADERS, otel_variables
from mutt_appliance.secrets import Secrets, SecretsError, load_secrets_file
from mutt_appliance.supervisor.activation import Activated, take_sockets
from mutt_appliance.supervisor.log_file import Tee, log_of
from mutt_appliance.supervisor.loop import MAIN_LOG, Supervisor
from mutt_appliance.supervisor.notify import Notifier
from mutt_appliance.supervisor.parent_death import die_with_parent
from mutt_appliance.supervisor.programs import ProgramError
from mutt_appliance.supervisor.roles import Pool, pools
from mutt_appliance.telemetry.logs import configure_logging, finish_logging
from mutt_appliance.telemetry.priorities import stderr_is_journal


@click.command()
@click.pass_obj
def command(env_file: Path | None) -> None:
    """Run the appliance until SIGTERM or Ctrl-C; a second one ends it at once.

    SIGHUP reads secrets and rules again. Exit code 78: the configuration cannot be used.
    """
    if getattr(sys, "frozen", False):
        # The loader of the one-file executable is our parent and what systemd knows: we do not outlive it.
        die_with_parent(os.getppid(), signal.SIGTERM)
    settings = load_or_exit(env_file)
    sys.exit(supervise(settings, pools, env_file))


def supervise(settings: Settings, table: Callable[[Settings], list[Pool]], env_file: Path | None) -> int:
    """Supervise the pools that `table` gives for the settings until a signal ends it; exit code of the process.

    A restart that was asked for over the control socket happens in here: systemd sees one service all the time.
    """
    setproctitle("mutt: supervisor")
    notifier = Notifier()
    environ = dict(os.environ)
    for name in HEADERS:
        # They may hold a secret: no process of ours needs to inherit them.
        os.environ.pop(name, None)
    activated: Activated | None = None

    def read() -> tuple[Settings, Secrets]:
        now = load(environ, env_file).settings
        return now, load_secrets_file(now.mutt_secrets_file)

    try:
        while True:
            main_log = Tee(log_of(settings.mutt_runtime_dir, MAIN_LOG))
            configure_logging(
                settings.log_level,
                settings.log_format,
                main_log,
                repeat_limit=settings.log_repeat_limit,
                priorities=stderr_is_journal(),
                process="supervisor",
            )
            activated = activated or take_sockets(os.environ, frozen=bool(getattr(sys, "frozen", False)))
            secrets = load_secrets_file(settings.mutt_secrets_file)
            otel = otel_variables(merged_variables(environ, env_file))
            supervisor = Supervisor(settings, secrets, table(settings), read, notifier, activated, otel)
            code = supervisor.run()
            finish_logging()
            if code or not supervisor.restart_wanted:
                return code
            settings, _ = read()
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"error: {fault}", err=True)
        return EXIT_CONFIG
    except (SecretsError, ProgramError) as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_CONFIG
