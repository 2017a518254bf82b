"""The queues of the appliance, for commands of mutt-ctl that deal with them without its help."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import redis.asyncio

from mutt_appliance.cli.database import person
from mutt_appliance.config import Settings
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.shards import Shards, async_shards, close_all, known_shards_async
from mutt_appliance.secrets import Secrets

T = TypeVar("T")
AsyncShards = Shards[redis.asyncio.Redis]


def on_shards(
    settings: Settings, secrets: Secrets, name: str, work: Callable[[AsyncShards], Awaitable[T]]
) -> T:
    """What `work` makes of all shards that are or were in use; errors of Redis become messages."""

    async def run() -> T:
        shards = async_shards(settings, lambda: secrets, f"ctl-{name}")
        try:
            shards.add(await known_shards_async(shards.home))
            return await work(shards)
        finally:
            await close_all(shards)

    try:
        return asyncio.run(run())
    except RedisError as error:
        hint = ": is the appliance running? It runs this Redis itself" if settings.embedded else ""
        raise click.ClickException(f"Redis at {settings.redis_where}: {error}{hint}") from error


def operator() -> str:
    """Who calls, for the history of changes: the person behind sudo, if it says who."""
    return f"mutt-ctl ({os.environ.get('SUDO_USER') or person()})"
