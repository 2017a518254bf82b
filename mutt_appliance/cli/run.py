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
from mutt_appliance.config.checks import unprotected
from mutt_appliance.config.faults import EXIT_CONFIG
from mutt_appliance.config.loading import merged_variables
from mutt_appliance.config.otel import HEADERS, otel_variables
from mutt_appliance.secrets import Secrets, SecretsError, SecretsUnavailable
from mutt_appliance.secrets.source import source_of
from mutt_appliance.supervisor.activation import Activated, take_sockets
from mutt_appliance.supervisor.log_file import Tee, log_of
from mutt_appliance.supervisor.loop import MAIN_LOG, Supervisor
from mutt_appliance.supervisor.no_dump import leave_no_dump
from mutt_appliance.supervisor.notify import Notifier
from mutt_appliance.supervisor.parent_death import die_with_parent
from mutt_appliance.supervisor.programs import ProgramError
from mutt_appliance.supervisor.roles import Pool, pools
from mutt_appliance.telemetry.logs import configure_logging, finish_logging, get_logger
from mutt_appliance.telemetry.priorities import stderr_is_journal
from mutt_appliance.tls.inventory import refuse_unusable

EXIT_FAILED = 1


@click.command(short_help="Run the appliance in the foreground.")
@click.pass_obj
def command(env_file: Path | None) -> None:
    """Run the appliance until SIGTERM or Ctrl-C; a second one ends it at once.

    SIGHUP reads secrets, rules and certificates again. Exit code 78: the configuration cannot be used; 1: Vault did
    not answer, or it was ended by force.
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
    leave_no_dump()
    notifier = Notifier()
    environ = dict(os.environ)
    for name in HEADERS:
        # They may hold a secret: no process of ours needs to inherit them.
        os.environ.pop(name, None)
    activated: Activated | None = None
    source = source_of(settings, os.environ)

    def read() -> tuple[Settings, Secrets]:
        now = load(environ, env_file).settings
        return now, source.reload()

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
            secrets = source.load()
            refuse_unusable(settings)
            for remark in unprotected(settings):
                get_logger("cli.run").warning("a connection is not protected", remark=remark)
            otel = otel_variables(merged_variables(environ, env_file))
            supervisor = Supervisor(
                settings, secrets, table(settings), read, notifier, activated, source, otel
            )
            code = supervisor.run()
            finish_logging()
            if code or not supervisor.restart_wanted:
                return code
            settings = load(environ, env_file).settings
            if not source.fits(settings):
                source.close()
                source = source_of(settings, os.environ)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"error: {fault}", err=True)
        return EXIT_CONFIG
    except SecretsUnavailable as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_FAILED
    except (SecretsError, ProgramError) as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_CONFIG
