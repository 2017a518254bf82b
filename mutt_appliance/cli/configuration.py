"""Loading the configuration for a command: warnings to stderr, faults end the command with exit 78."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from mutt_appliance.config import ConfigError, Settings, load
from mutt_appliance.config.faults import EXIT_CONFIG


def load_or_exit(env_file: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force; with a fault in them, print every fault and exit with 78."""
    try:
        loaded = load(environ, env_file)
    except ConfigError as error:
        for warning in error.warnings:
            click.echo(f"warning: {warning}", err=True)
        for fault in error.faults:
            click.echo(f"error: {fault}", err=True)
        sys.exit(EXIT_CONFIG)
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    return loaded.settings
