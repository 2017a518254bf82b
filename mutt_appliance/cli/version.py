"""`mutt version`: what this program is, and what is inside it."""

from __future__ import annotations

import json

import click

from mutt_appliance import __version__
from mutt_appliance.build_info import build_info


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="With build date and every component, its version and licence."
)
def command(as_json: bool) -> None:
    """Print the version."""
    if as_json:
        click.echo(json.dumps(build_info(), indent=2))
    else:
        click.echo(f"mutt {__version__}")
