"""The stores of the appliance, for commands of mutt-ctl that read or write them without its help."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.cli.ctl_environment import environment_with_runtime_dir
from mutt_appliance.cli.database import database_errors, settings_and_secrets
from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import RedisError, blocking_client
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.connecting import connect

F = TypeVar("F", bound=Callable[..., Any])
STATEMENT_SECS = 3600.0
"""Longer than DB_STATEMENT_TIMEOUT: a person waits for these, and can end them."""


def env_file_option(command: F) -> F:
    """--env-file, as every command that reads the settings has it."""
    return click.option(
        "--env-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Settings. [default: $MUTT_ENV_FILE, /etc/mutt/mutt.env]",
    )(command)


def configured(context: click.Context, env_file: Path | None) -> tuple[Settings, Secrets]:
    """Settings and secrets, with --runtime-dir if it was given; ends the program with 78 when they cannot be used."""
    return settings_and_secrets(env_file, environment_with_runtime_dir(context, os.environ))


@contextmanager
def database_connection(settings: Settings, secrets: Secrets, name: str) -> Iterator[Connection]:
    """A connection of its own whose statements may take long; its errors become messages."""
    patient = settings.model_copy(update={"db_statement_timeout": STATEMENT_SECS})
    with database_errors(settings):
        conn = connect(patient, secrets, f"mutt-ctl {name}")
        try:
            yield conn
        finally:
            conn.close()


@contextmanager
def redis_connection(settings: Settings, secrets: Secrets, name: str) -> Iterator[redis.Redis]:
    """A client; its errors become messages."""
    client = blocking_client(settings, lambda: secrets, f"ctl-{name}")
    try:
        yield client
    except RedisError as error:
        hint = ": is the appliance running? It runs this Redis itself" if settings.embedded else ""
        raise click.ClickException(f"Redis at {settings.redis_where}: {error}{hint}") from error
    finally:
        client.close()
