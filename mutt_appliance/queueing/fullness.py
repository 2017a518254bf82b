"""A Redis that takes nothing more: its maxmemory is reached, or it cannot write to its disk.

At its maxmemory scripts that empty queues go on all the same: they take something away first, and after that Redis
refuses them nothing. So what is queued is worked off, and only new events are refused. Without its disk (MISCONF)
Redis refuses every change, a PING as well, until it could write again, which it tries each second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.exceptions import OutOfMemoryError, ResponseError

from mutt_appliance.queueing.errors import has_code

# How long to wait instead of in Redis, when it is too full for a wait that ends with moving something.
PAUSE_SECS = 0.2


def is_full(error: Exception) -> bool:
    """True if Redis refused something because it is full."""
    # The error of a redis.call() in a script has a class of its own only from Redis 7 on.
    return isinstance(error, OutOfMemoryError) or (
        isinstance(error, ResponseError) and has_code(error, "OOM")
    )


def lacks_disk(error: Exception) -> bool:
    """True if Redis refused something because it could not write its append-only file, or its last snapshot."""
    return isinstance(error, ResponseError) and has_code(error, "MISCONF")


def refusal_of(error: Exception) -> str:
    """Why Redis takes nothing, in words; empty if it did not say so. Nothing was done then."""
    if is_full(error):
        return "Redis is full (maxmemory)"
    return "Redis cannot write to its disk" if lacks_disk(error) else ""


def share_used(memory: Mapping[str, Any]) -> float | None:
    """Used part of maxmemory, 1 for a full Redis, from INFO memory; None without a maxmemory."""
    most = int(memory.get("maxmemory", 0))
    if not most:
        return None
    # Buffers for replicas and for the append-only file do not count.
    return (int(memory["used_memory"]) - int(memory.get("mem_not_counted_for_evict", 0))) / most


def trouble_of(where: str, error: Exception) -> str:
    """What is wrong with the Redis at `where`, in words."""
    if is_full(error):
        return f"{where} is full: its maxmemory is reached"
    if lacks_disk(error):
        return f"{where} cannot write to its disk and takes nothing: see that there is room"
    return f"{where} does not answer: {type(error).__name__}"
