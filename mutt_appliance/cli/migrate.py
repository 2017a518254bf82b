"""`mutt migrate`: what the appliance does at start, by hand and with progress, for an external database."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from mutt_appliance.cli.database import database_errors, settings_and_secrets
from mutt_appliance.store.prepare import prepare_database
from mutt_appliance.telemetry.logs import configure_logging


@click.command(short_help="Create the database, and bring its schema up to date.")
@click.option(
    "--wait",
    "patience_secs",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds to wait for the database, or for another appliance that is migrating it.",
)
@click.pass_obj
def command(env_file: Path | None, patience_secs: float) -> None:
    """Create the database if needed, bring its schema up to date and make the coming partitions."""
    settings, secrets = settings_and_secrets(env_file)
    configure_logging("WARNING", settings.log_format)
    with database_errors(settings):
        done = prepare_database(
            settings,
            secrets,
            "mutt migrate",
            patience_secs=patience_secs,
            stop=threading.Event(),
            report=click.echo,
        )
    click.echo(f"partitions: {', '.join(done.partitions)}")
    count = len(done.migrations)
    click.echo(f"{settings.db_name} is up to date ({count or 'no'} migration{'s' * (count != 1)} applied)")
