"""`mutt config`: what is in force, whether it is right, and the pages made from the declarations."""

from __future__ import annotations

from pathlib import Path

import click

from mutt_appliance.cli.configuration import load_or_exit


@click.group()
def command() -> None:
    """Show and check the configuration."""


@command.command()
@click.pass_obj
def show(env_file: Path | None) -> None:
    """Print every setting in force; secrets are never shown."""
    from mutt_appliance.config import reference

    click.echo(reference.show(load_or_exit(env_file)), nl=False)


@command.command()
@click.pass_obj
def check(env_file: Path | None) -> None:
    """Name every fault at once; exit 78 if there is one."""
    from mutt_appliance.config.checks import unprotected

    for remark in unprotected(load_or_exit(env_file)):
        click.echo(f"warning: {remark}", err=True)
    click.echo("the configuration is valid")


@command.command()
def docs() -> None:
    """Print docs/configuration.md."""
    from mutt_appliance.config.reference import configuration_page

    click.echo(configuration_page(), nl=False)


@command.command()
def sample() -> None:
    """Print a sample env file with every setting commented out."""
    from mutt_appliance.config.reference import sample_env_file

    click.echo(sample_env_file(), nl=False)
