"""Word of a change, from who made it to every process that keeps a copy (Redis publish and subscribe).

Nothing is lost when word does not arrive: the copies are renewed in intervals too, and whoever connects
again looks as if it had been told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal

import redis
import redis.asyncio

from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import text
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("queueing.changes")

Change = Literal["rules", "config"]
"""rules: rules, development hosts or teams, all in PostgreSQL; config: dynamic settings, in Redis."""

LOOK_SECS = 0.5
PING_SECS = 5.0
# Without any word for so long, an answer to a ping included, the connection counts as dead.
SILENCE_MAX_SECS = 15.0
RETRY_SECS = 1.0


async def tell(client: redis.asyncio.Redis, keys: KeySpace, change: Change) -> int:
    """Say that something changed; returns how many processes heard it. Raises redis.RedisError."""
    return int(await client.publish(keys.changes, change))


def announce(client: redis.Redis, keys: KeySpace, change: Change) -> int:
    """As `tell`, for who has no event loop."""
    return int(client.publish(keys.changes, change))


class ChangeListener:
    """Calls back for each change, in a thread of its own; after a connection is made, for all of them."""

    def __init__(
        self,
        client: redis.Redis,
        keys: KeySpace,
        callbacks: Mapping[Change, Callable[[], None]],
        stopping: threading.Event,
    ) -> None:
        self._client = client
        self._channel = keys.changes
        self._callbacks = {str(name): callback for name, callback in callbacks.items()}
        self._stopping = stopping
        self.connected = threading.Event()

    def start(self) -> None:
        """Begin, in a daemon thread."""
        threading.Thread(target=self._loop, name="changes", daemon=True).start()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (RedisError, OSError) as error:
                # The others of this process meet the same trouble and report it.
                log.debug("no word of changes", error=str(error))
            self.connected.clear()
            self._stopping.wait(RETRY_SECS)

    def _listen(self) -> None:
        with self._client.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(self._channel)
            heard = pinged = time.monotonic()
            while not self._stopping.is_set():
                message = subscription.get_message(timeout=LOOK_SECS)
                now = time.monotonic()
                if message is not None:
                    heard = now
                    self._take(message["type"], message["data"])
                elif now - heard > SILENCE_MAX_SECS:
                    return
                if now - pinged > PING_SECS:
                    pinged = now
                    subscription.ping()

    def _take(self, kind: str, data: bytes) -> None:
        if kind == "subscribe":
            self.connected.set()
            for callback in self._callbacks.values():
                callback()
        elif kind == "message":
            told = self._callbacks.get(text(data))
            if told is not None:
                told()
