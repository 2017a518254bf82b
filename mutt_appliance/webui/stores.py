"""The stores as the web UI's event loop sees them: Redis directly, PostgreSQL from threads, both timed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg2
import redis.asyncio
from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.config import Settings
from mutt_appliance.process import Child
from mutt_appliance.queueing.changes import Change, tell
from mutt_appliance.queueing.client import RedisError, blocking_client
from mutt_appliance.queueing.dynamic import LiveSettings, Stored, all_stored
from mutt_appliance.queueing.shards import async_shards, close_all, known_shards_async
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.pool import Database
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import WebuiMetrics, secrets_in_use
from mutt_appliance.webui.activity import ActivityReader
from mutt_appliance.webui.caching import Cached
from mutt_appliance.webui.rule_book import RuleBook
from mutt_appliance.webui.rule_list import RuleList

log = get_logger("webui.stores")
P = ParamSpec("P")
T = TypeVar("T")


class Stores:
    """Redis, its keys, and the database of one web UI process, with the settings they come from.

    `redis` and `keys` are those of home, where everything lies that exists once; queues are in all `shards`.
    """

    def __init__(self, child: Child, metrics: WebuiMetrics) -> None:
        self.settings = child.settings
        self.shards = async_shards(child.settings, lambda: child.secrets, child.name)
        self.redis: redis.asyncio.Redis = self.shards.home.client
        self.keys = self.shards.home.keys
        self._listening = blocking_client(child.settings, lambda: child.secrets, child.name)
        self.live = LiveSettings(child.settings, self._listening, self.keys)
        self.database = Database(
            child.settings, child.secrets, f"mutt {child.name}", partial(secrets_in_use().tell, "db_pass")
        )
        self.database_trouble: str | None = None
        self.activity = ActivityReader(self.shards)
        self.rule_book = RuleBook(child.settings, self.run)
        self.rule_list = RuleList(self.run)
        self._metrics = metrics
        self._cached: dict[str, Cached[Any]] = {}

    async def run(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`work(connection, …)` in one transaction and a thread; its name is the operation of the metric.

        Raises StoreUnavailable, and what `work` raises. While the database is known to be away it is not asked:
        a page that can do without must not wait for it each time.
        """
        if self.database_trouble is not None:
            raise StoreUnavailable(self.database_trouble)
        return await self._run(work, *args, **kwargs)

    async def look_at_database(self) -> None:
        """Ask the database, known to be away or not, and note what comes of it in `database_trouble`."""
        try:
            await self._run(probe)
        except (StoreUnavailable, psycopg2.Error) as error:
            self.database_trouble = str(error).strip()
        else:
            self.database_trouble = None

    async def _run(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def in_thread() -> T:
            with self.database.connection() as conn:
                return work(conn, *args, **kwargs)

        started = time.perf_counter()
        try:
            return await asyncio.to_thread(in_thread)
        finally:
            millis = (time.perf_counter() - started) * 1000
            self._metrics.db_latency.labels(operation=work.__name__).observe(millis)

    async def cached(self, name: str, make: Callable[[], Awaitable[T]], fresh_secs: float) -> T:
        """What `make` gave at most `fresh_secs` ago, the same for all who ask for `name`."""
        one: Cached[T] = self._cached.setdefault(name, Cached(make, fresh_secs))
        return await one.get()

    async def stored_settings(self) -> dict[str, Stored]:
        """Dynamic settings as they are stored, by name. Raises redis.RedisError."""
        answer: Any = await self.redis.hgetall(self.keys.config)
        return all_stored(answer)

    async def live_settings(self) -> Settings:
        """The settings in force; those of the environment where the dynamic ones are off."""
        return self.live.current

    async def look_for_shards(self) -> None:
        """Know of shards that are not in the configuration any more, too. Raises redis.RedisError."""
        self.shards.add(await known_shards_async(self.shards.home))

    async def tell(self, change: Change) -> None:
        """Say that something changed. Without Redis the others find out in their own time."""
        if change == "config" and self.settings.dynamic_config_enabled:
            # Whoever made the change, and asks again at once, is not to see the old value in force.
            await asyncio.to_thread(self.live.refresh)
        try:
            await tell(self.redis, self.keys, change)
        except (RedisError, OSError) as error:
            log.warning("a change was written, but nobody was told", change=change, error=str(error))

    def use_secrets(self, secrets: Secrets) -> None:
        """Take new passwords for the database."""
        self.database.use_secrets(secrets)

    async def close(self) -> None:
        """Close the connections."""
        await close_all(self.shards)
        self._listening.close()
        self.database.close()


def probe(conn: Connection) -> None:
    """See that the database answers and takes writes; raises StoreUnavailable."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only')")
        ((read_only,),) = cursor.fetchall()
    if read_only == "on":
        where = conn.info.host
        # A server that was made read-only under its connections: the next one may be to another.
        conn.close()
        raise StoreUnavailable(f"PostgreSQL at {where} takes no writes")
