"""The alerter's side of the ingest queue: claim a batch, settle it, all or nothing (blocking)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from mutt_appliance.queueing.activity import (
    DAYS,
    HOSTS_MOST,
    HOURS,
    PATTERNS_MOST,
    SAMPLE_MAX_BYTES,
    Activity,
    activity_keys,
)
from mutt_appliance.queueing.client import ResponseError
from mutt_appliance.queueing.dead_letter import around_payload, now_rfc3339
from mutt_appliance.queueing.fullness import PAUSE_SECS, is_full
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import Lease, LeaseLostError, NameTakenError, recover_call
from mutt_appliance.queueing.scripts import script_source, text
from mutt_appliance.queueing.shards import BlockingShard

# From this many lost workers on an event is claimed alone; the scripts have the same number.
SUSPECT_AFTER = 2

# A batch takes a multiple of this in the memory of the alerter and of PostgreSQL, which takes no gigabyte at once.
BATCH_MOST_BYTES = 32 << 20


@dataclass(frozen=True)
class Claim:
    """A claimed batch: events oldest first, as they lie in Redis, and depths seen in the same moment."""

    items: list[bytes]
    deaths: int
    ingest_depth: int
    alert_depth: int
    dead_depth: int


@dataclass(frozen=True)
class UnhandledCount:
    """Unmatched events of one pattern of one host in a batch; `sample` is the position of one of them."""

    hostname: str
    pattern_hash: str
    amount: int
    sample: int


@dataclass
class Settlement:
    """What became of a claimed batch of `size` events; `activity` is counted with it."""

    size: int
    alerts: list[bytes] = field(default_factory=list)
    dead: list[bytes] = field(default_factory=list)
    unhandled: Sequence[UnhandledCount] = ()
    activity: Activity = field(default_factory=Activity)


@dataclass(frozen=True)
class Settled:
    """What the settlement did: alerts shed to the dead letters, meta-events made, depths afterwards."""

    shed: int
    triggered: int
    alert_depth: int
    dead_depth: int


@dataclass(frozen=True)
class UnhandledPolicy:
    """When a pattern is reported: after `threshold` events within `expiry_secs`."""

    threshold: int
    expiry_secs: int


@dataclass(frozen=True)
class Shedding:
    """From which depth of all alert queues on alerts go to the dead letters (0: never), `elsewhere` being
    the depth of those of other shards."""

    threshold: int = 0
    elsewhere: int = 0

    @property
    def from_depth(self) -> int:
        """Depth of the own alert queue from which on they do, -1 for never."""
        return max(0, self.threshold - self.elsewhere) if self.threshold else -1


NO_SHEDDING = Shedding()


def wait_until_filled(shard: BlockingShard, timeout_secs: float) -> bool:
    """Wait until there is something in the ingest queue, and leave it there. May raise redis.RedisError.

    The next one out is taken off the queue and put back where it was, in one step of Redis (6.2 and later).
    """
    queue = shard.keys.ingest_queue
    try:
        answer: Any = shard.client.blmove(queue, queue, timeout_secs, src="RIGHT", dest="RIGHT")  # type: ignore[arg-type]
    except ResponseError as error:
        # Whether there is something shows the next claim, which a full Redis allows.
        _pause_if_full(error, timeout_secs)
        return True
    return answer is not None


def _pause_if_full(error: ResponseError, timeout_secs: float) -> None:
    """Wait here instead of in a Redis that is too full to move anything; raises any other error."""
    if not is_full(error):
        raise error
    time.sleep(min(timeout_secs, PAUSE_SECS))


class EventQueue:
    """One alerter's view of the ingest queue. Every method may raise redis.RedisError.

    After an error the caller claims again: what was not settled is still on the worker's list and
    comes back with the next claim; what was settled does not.
    """

    def __init__(self, client: redis.Redis, keys: KeySpace, lease: Lease) -> None:
        self._client = client
        self._keys = keys
        self._lease = lease
        self._register = client.register_script(script_source("register"))
        self._renew = client.register_script(script_source("renew"))
        self._unregister = client.register_script(script_source("unregister"))
        self._recover = client.register_script(script_source("recover"))
        self._claim = client.register_script(script_source("claim"))
        self._settle = client.register_script(script_source("settle_events"))
        # Number, newest and oldest of what was claimed last: what a settlement is about.
        self._batch: tuple[int, bytes, bytes] = (0, b"", b"")

    def register(self) -> int:
        """Take the lease; returns how many items of a former holder went back. Raises NameTakenError."""
        self._lease.renew_token()
        keys, args = self._lease.register_call()
        count = int(self._register(keys=keys, args=args))
        if count < 0:
            raise NameTakenError(self._lease.worker)
        return count

    def renew(self) -> bool:
        """Renew the lease; False when it is lost."""
        keys, args = self._lease.renew_call()
        return bool(self._renew(keys=keys, args=args))

    def unregister(self) -> None:
        """Leave: what is still held goes back at once."""
        keys, args = self._lease.unregister_call()
        self._unregister(keys=keys, args=args)

    def claim(self, batch_size: int) -> Claim:
        """Claim up to `batch_size` events, fewer of large ones (BATCH_MOST_BYTES). Raises LeaseLostError."""
        queue = self._lease.queue
        answer = self._claim(
            keys=[
                queue.source, self._lease.processing, self._lease.heartbeat, queue.suspects,
                queue.source, self._keys.alert_queue, queue.dead,
            ],
            args=[self._lease.token, self._lease.ttl_ms, batch_size, BATCH_MOST_BYTES],
        )  # fmt: skip
        if not answer:
            raise LeaseLostError(self._lease.worker)
        items, deaths, ingest_depth, alert_depth, dead_depth = answer
        self._batch = (len(items), items[0], items[-1]) if items else (0, b"", b"")
        items.reverse()
        return Claim(items, int(deaths), int(ingest_depth), int(alert_depth), int(dead_depth))

    def wait(self, timeout_secs: float) -> bool:
        """Wait for an event; it goes to the worker's list and comes with the next claim."""
        source, processing = self._lease.queue.source, self._lease.processing
        try:
            return self._client.brpoplpush(source, processing, timeout=timeout_secs) is not None
        except ResponseError as error:
            _pause_if_full(error, timeout_secs)
            return False

    def settle(
        self, settlement: Settlement, policy: UnhandledPolicy, shedding: Shedding = NO_SHEDDING
    ) -> Settled:
        """Settle the batch that was claimed last. Raises LeaseLostError, and then nothing was done.

        That is so too after a failover to a replica that has not heard of the claim.
        """
        queue = self._lease.queue
        keys = [
            self._lease.processing, self._lease.heartbeat, self._keys.alert_queue, queue.dead,
            queue.source, queue.suspects, *activity_keys(self._keys, time.time()),
        ]  # fmt: skip
        activity = settlement.activity
        reason = f"shed: the alert queue was at or above ALERTER_QUEUE_SHED_THRESHOLD={shedding.threshold}"
        before, after = around_payload(reason, 0, "alerter-shed")
        args: list[bytes | str | int] = [
            self._lease.token, self._lease.ttl_ms, len(settlement.alerts), len(settlement.dead),
            shedding.from_depth,
            before, after, policy.threshold, policy.expiry_secs, now_rfc3339(),
            len(activity.rules), len(activity.hosts), HOURS.keep_secs, DAYS.keep_secs,
            HOSTS_MOST, PATTERNS_MOST, SAMPLE_MAX_BYTES, *self._batch,
            *settlement.alerts, *settlement.dead, *activity.flat(),
        ]  # fmt: skip
        last = settlement.size - 1
        for count in settlement.unhandled:
            keys.append(self._keys.unhandled(count.hostname, count.pattern_hash))
            keys.append(self._keys.unhandled_triggered(count.hostname, count.pattern_hash))
            args += (count.amount, last - count.sample, count.pattern_hash)
        answer = self._settle(keys=keys, args=args)
        if not answer:
            raise LeaseLostError(self._lease.worker)
        return Settled(*(int(value) for value in answer))

    def dead_workers_recovered(self) -> int:
        """Janitor: give back the items of all workers whose lease ran out; returns how many."""
        queue = self._lease.queue
        recovered = 0
        for name in self._client.smembers(queue.workers):
            keys, args = recover_call(queue, text(name), self._lease.ttl_ms)
            recovered += max(0, int(self._recover(keys=keys, args=args)))
        return recovered

    def adopt_unknown_lists(self) -> None:
        """At start: let the janitor know of lists that no worker of this version registered."""
        queue = self._lease.queue
        for key in self._client.scan_iter(match=f"{queue.processing_prefix}:*", count=1000):
            name = text(key)
            if queue.is_processing_list(name):
                self._client.sadd(queue.workers, name.removeprefix(f"{queue.processing_prefix}:"))
