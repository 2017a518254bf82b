"""The database, for commands that a person runs: errors become one line and exit code 1."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import psycopg2

from mutt_appliance.cli.configuration import load_or_exit
from mutt_appliance.config import EXIT_CONFIG, Settings
from mutt_appliance.secrets import Secrets, SecretsError
from mutt_appliance.secrets.source import read_secrets
from mutt_appliance.store.errors import SchemaError, StoreUnavailable, reason
from mutt_appliance.store.pool import Database


def settings_and_secrets(
    env_file: Path | None, environ: Mapping[str, str] = os.environ
) -> tuple[Settings, Secrets]:
    """Configuration and secrets; ends the program with 78 when they cannot be used."""
    settings = load_or_exit(env_file, environ)
    try:
        return settings, read_secrets(settings, environ, make_file=True)
    except SecretsError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(EXIT_CONFIG) from error


@contextlib.contextmanager
def database_errors(settings: Settings) -> Iterator[None]:
    """Show what the database refuses as a message, not as a traceback."""
    try:
        yield
    except StoreUnavailable as error:
        hint = ": is the appliance running? It runs this database itself" if settings.embedded else ""
        raise click.ClickException(f"{error}{hint}") from error
    except (SchemaError, psycopg2.Error) as error:
        raise click.ClickException(reason(error)) from error


@contextlib.contextmanager
def open_database(env_file: Path | None) -> Iterator[Database]:
    """The database of the configuration, closed at the end."""
    settings, secrets = settings_and_secrets(env_file)
    with database_of(settings, secrets) as database:
        yield database


@contextlib.contextmanager
def database_of(settings: Settings, secrets: Secrets) -> Iterator[Database]:
    """A database, closed at the end; its errors become messages."""
    database = Database(settings, secrets, "mutt command")
    try:
        with database_errors(settings):
            yield database
    finally:
        database.close()


def person() -> str:
    """Who runs the command, for the configuration's audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
