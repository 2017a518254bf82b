"""The forwarder's side of the alert queue: claim, settle one by one, retry at a due time (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import redis.asyncio

from mutt_appliance.queueing.client import ResponseError
from mutt_appliance.queueing.fullness import PAUSE_SECS, is_full
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import Lease, LeaseLostError, NameTakenError, recover_call
from mutt_appliance.queueing.scripts import script_source, text

# What forwarders gave back when the circuit opened lies at the end of the queue, in some disorder.
HEAD_IN_ORDER = 2000
RETRIES_IN_ORDER_MOST = 20_000
REORDER_CHUNK = 200


@dataclass(frozen=True)
class AlertClaim:
    """Claimed alerts, oldest first, and what was seen in the same moment.

    `next_retry_ms` is the time until another retry is due, None without one.
    """

    items: list[bytes]
    next_retry_ms: int | None
    queue_depth: int
    retry_depth: int
    dead_depth: int
    held: int


@dataclass(frozen=True)
class Outcome:
    """What became of one claimed alert.

    done: delivered; `onward`, if any, is the note of a traced delivery. retry: `onward` is tried again
    after `delay_ms`. dead: `onward` is a dead letter. release: back to the queue untouched, as the next one out.
    """

    kind: Literal["done", "retry", "dead", "release"]
    item: bytes
    onward: bytes = b""
    delay_ms: int = 0


class AlertQueue:
    """One forwarder's view of the alert queue. Every method may raise redis.RedisError."""

    def __init__(self, client: redis.asyncio.Redis, keys: KeySpace, lease: Lease) -> None:
        self._client = client
        self._keys = keys
        self._lease = lease
        self._register = client.register_script(script_source("register"))
        self._renew = client.register_script(script_source("renew"))
        self._unregister = client.register_script(script_source("unregister"))
        self._recover = client.register_script(script_source("recover"))
        self._claim = client.register_script(script_source("claim_alerts"))
        self._settle = client.register_script(script_source("settle_alerts"))
        self._reorder = client.register_script(script_source("reorder_alerts"))

    async def register(self) -> int:
        """Take the lease; returns how many items of a former holder went back. Raises NameTakenError."""
        self._lease.renew_token()
        keys, args = self._lease.register_call()
        count = int(await self._register(keys=keys, args=args))
        if count < 0:
            raise NameTakenError(self._lease.worker)
        return count

    async def renew(self) -> bool:
        """Renew the lease; False when it is lost."""
        keys, args = self._lease.renew_call()
        return bool(await self._renew(keys=keys, args=args))

    async def unregister(self) -> None:
        """Leave: what is still held goes back at once."""
        keys, args = self._lease.unregister_call()
        await self._unregister(keys=keys, args=args)

    async def claim(self, most: int, longest_delay_ms: int, *, for_probe: bool = False) -> AlertClaim:
        """Claim up to `most` alerts, due retries first. Raises LeaseLostError.

        A retry that is due after `longest_delay_ms` is due now: the clock was set back. For a probe new ones come
        first, so that it is another alert each time, and a retry need not be due.
        """
        queue = self._lease.queue
        answer = await self._claim(
            keys=[queue.source, self._lease.processing, self._lease.heartbeat, self._keys.retry, queue.dead],
            args=[self._lease.token, self._lease.ttl_ms, most, int(for_probe), longest_delay_ms],
        )
        if not answer:
            raise LeaseLostError(self._lease.worker)
        items, due, depth, retries, dead, held = answer
        due_ms = int(due)
        return AlertClaim(
            items, None if due_ms < 0 else due_ms, int(depth), int(retries), int(dead), int(held)
        )

    async def wait(self, timeout_secs: float) -> bytes | None:
        """Wait for a new alert; it is then claimed (on the worker's list) and returned."""
        source, processing = self._lease.queue.source, self._lease.processing
        try:
            item: Any = await self._client.brpoplpush(source, processing, timeout=timeout_secs)
        except ResponseError as error:
            if not is_full(error):
                raise
            # Too full for a wait that ends with moving something; claims are still allowed.
            await asyncio.sleep(min(timeout_secs, PAUSE_SECS))
            return None
        return item  # type: ignore[no-any-return]

    async def settle(self, outcomes: Sequence[Outcome]) -> int:
        """Settle alerts; harmless when repeated. Returns the depth of the dead letters."""
        queue = self._lease.queue
        args: list[bytes | str | int] = []
        for outcome in outcomes:
            args += (outcome.kind, outcome.item, outcome.onward, outcome.delay_ms)
        keys = [
            self._lease.processing,
            self._keys.retry,
            queue.dead,
            queue.source,
            queue.suspects,
            self._keys.traced,
        ]
        _, dead_depth = await self._settle(keys=keys, args=args)
        return int(dead_depth)

    async def put_in_order(self, onward: Callable[[bytes], bytes]) -> int:
        """Put the oldest alerts, and those that wait for a retry, at the end of the queue that is consumed, by age.

        `onward` is what becomes of each. Returns how many there were.
        """
        retries: Any = await self._client.zrange(self._keys.retry, 0, RETRIES_IN_ORDER_MOST - 1)
        head: Any = await self._client.lrange(self._keys.alert_queue, -HEAD_IN_ORDER, -1)
        waiting = [*retries, *reversed(head)]
        # Of one age they stay as they were: what was tried already before what was not.
        oldest_first = sorted(waiting, key=_age)
        if oldest_first == list(reversed(head)) and all(onward(item) == item for item in waiting):
            return 0
        moved = 0
        for last in range(len(oldest_first), 0, -REORDER_CHUNK):
            chunk = oldest_first[max(0, last - REORDER_CHUNK) : last]
            args = [part for item in reversed(chunk) for part in (item, onward(item))]
            moved += int(await self._reorder(keys=[self._keys.alert_queue, self._keys.retry], args=args))
        return moved

    async def held(self) -> list[bytes]:
        """What is on the worker's list, oldest first: after an error it may be more than was heard of."""
        items: Any = await self._client.lrange(self._lease.processing, 0, -1)
        return list(reversed(items))

    async def dead_workers_recovered(self) -> int:
        """Janitor: give back the items of all workers whose lease ran out; returns how many."""
        queue = self._lease.queue
        recovered = 0
        for name in await self._client.smembers(queue.workers):
            keys, args = recover_call(queue, text(name), self._lease.ttl_ms)
            recovered += max(0, int(await self._recover(keys=keys, args=args)))
        return recovered

    async def adopt_unknown_lists(self) -> None:
        """At start: let the janitor know of lists that no worker of this version registered."""
        queue = self._lease.queue
        async for key in self._client.scan_iter(match=f"{queue.processing_prefix}:*", count=1000):
            name = text(key)
            if queue.is_processing_list(name):
                await self._client.sadd(queue.workers, name.removeprefix(f"{queue.processing_prefix}:"))


def _age(item: bytes) -> str:
    """When the event of an alert was received; what cannot tell comes first, and finds its end."""
    try:
        received_at = orjson.loads(item)["received_at"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return received_at if isinstance(received_at, str) else ""
