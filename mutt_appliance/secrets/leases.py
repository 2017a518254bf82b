"""When a Vault token is renewed, when a new one is asked for, and when to look again (pure; seconds everywhere)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

# A token that lives less than twice VAULT_TOKEN_RENEW_THRESHOLD is renewed in the middle of its life.
RENEW_SHARE = 0.5
# Vault cuts a renewal short at max_ttl (and only says so in a warning): one that gives less than this share of
# what the first gave is the last.
WORTH_RENEWING = 0.9
LOOK_AT_LEAST_EVERY_SECS = 0.25
BACKOFF_FIRST_SECS = 1.0
BACKOFF_MAX_SECS = 30.0


class Step(Enum):
    """What to do about the token."""

    KEEP = "keep"
    RENEW = "renew"
    LOGIN = "log in"


@dataclass(frozen=True)
class Token:
    """A token's lease: `ttl_secs` were granted at `granted_at` (monotonic), `first_ttl_secs` at the login.

    `ttl_secs` 0: it never ends.
    """

    granted_at: float
    ttl_secs: float
    first_ttl_secs: float
    renewable: bool

    def left_secs(self, now: float) -> float:
        """What is left of it; infinite when it never ends."""
        return self.granted_at + self.ttl_secs - now if self.ttl_secs else float("inf")


def renew_below_secs(token: Token, threshold_secs: float) -> float:
    """With less than this left, something is done: the threshold, but never more than a part of the life."""
    return min(threshold_secs, token.ttl_secs * RENEW_SHARE)


def next_step(token: Token | None, now: float, threshold_secs: float) -> Step:
    """What to do now."""
    if token is None or token.left_secs(now) <= 0:
        return Step.LOGIN
    if token.ttl_secs and token.ttl_secs < token.first_ttl_secs * WORTH_RENEWING:
        return Step.LOGIN
    if token.left_secs(now) > renew_below_secs(token, threshold_secs):
        return Step.KEEP
    return Step.RENEW if token.renewable else Step.LOGIN


def look_again_secs(token: Token, now: float, threshold_secs: float, interval_secs: float) -> float:
    """How long to rest: the interval, but not past the moment at which the token wants something."""
    until_due = token.left_secs(now) - renew_below_secs(token, threshold_secs)
    return max(LOOK_AT_LEAST_EVERY_SECS, min(interval_secs, until_due))


def backoff_secs(failures: int, chance: random.Random) -> float:
    """Pause after `failures` failures in a row (1 or more): doubled up to a longest, with jitter."""
    longest = min(BACKOFF_MAX_SECS, BACKOFF_FIRST_SECS * 2.0 ** min(failures - 1, 16))
    return longest * chance.uniform(0.5, 1.0)
