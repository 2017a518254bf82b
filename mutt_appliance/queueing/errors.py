"""What Redis' refusals mean."""

from __future__ import annotations

from redis.exceptions import RedisError, ResponseError

# Answers of a server that is not, or not yet, the master of our keys.
ELSEWHERE = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN", "UNBLOCKED")


class ReplicasMissingError(RedisError):
    """Too few replicas have what was written; it may be there all the same."""


def has_code(error: ResponseError, *codes: str) -> bool:
    """True if Redis answered with one of these codes.

    The error of a redis.call() in a script has its code in the middle of the text up to Redis 6.2.
    """
    words = f"{error.status_code} {error}" if error.status_code else str(error)
    return any(words.startswith(f"{code} ") or f"-{code} " in words for code in codes)


def is_elsewhere(error: ResponseError) -> bool:
    """True for the answer of a server that cannot be the right one."""
    return has_code(error, *ELSEWHERE)
