"""What Moogsoft's answer means for an alert, and when it is tried again (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp

from mutt_appliance.tls.trust import verify_message

# 408 Request Timeout, 425 Too Early, 429 Too Many Requests: the same request may succeed later.
RETRYABLE_4XX = frozenset({408, 425, 429})
RETRY_AFTER_MAX_SECS = 3600.0
USED_UP = "MOOG_MAX_RETRIES="
KEY_REFUSED = frozenset({"http_401", "http_403"})


@dataclass(frozen=True)
class Verdict:
    """What one attempt came to.

    `reason` is empty for done, else a short word fit for a metric's label: http_503, timeout,
    connection, tls, protocol. `wait_secs` is what the receiver asked for, `status` that of its answer (0
    without one), `detail` says more to people.
    """

    kind: Literal["done", "retry", "dead"]
    reason: str = ""
    wait_secs: float = 0.0
    detail: str = ""
    status: int = field(default=0, compare=False)

    @property
    def words(self) -> str:
        """The reason, for people: `tls: certificate verify failed: certificate has expired`."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason

    @property
    def like_an_outage(self) -> bool:
        """True if it tells of the receiver or the way to it, and not of the alert or the key."""
        return self.kind == "retry" and self.reason not in KEY_REFUSED


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how soon: `max_retries` after the first attempt, delays in seconds."""

    max_retries: int
    base_delay_secs: float
    max_delay_secs: float


@dataclass(frozen=True)
class NextStep:
    """After a failed attempt: again in `delay_secs`, or a dead letter; `reason` says why."""

    kind: Literal["retry", "dead"]
    reason: str
    delay_secs: float = 0.0


def judge_status(status: int, retry_after: str | None = None, now: datetime | None = None) -> Verdict:
    """2xx is done; 408, 425, 429 and 5xx are tried again; any other 3xx or 4xx is final."""
    if 200 <= status < 300:
        return Verdict("done", status=status)
    reason = f"http_{status}"
    if status in RETRYABLE_4XX or status >= 500:
        wait_secs = retry_after_secs(retry_after, now or datetime.now(UTC))
        return Verdict("retry", reason, wait_secs, status=status)
    return Verdict("dead", reason, status=status)


def judge_failure(error: BaseException) -> Verdict:
    """No answer at all is always tried again: the receiver may be back by then."""
    if isinstance(error, TimeoutError):
        return Verdict("retry", "timeout")
    if detail := verify_message(error):
        return Verdict("retry", "tls", detail=detail)
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return Verdict("retry", "connection")
    return Verdict("retry", "protocol")


def retry_after_secs(value: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: seconds, or a date).

    0 without one that can be read; never more than an hour.
    """
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MAX_SECS)
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return min(max((when - now).total_seconds(), 0.0), RETRY_AFTER_MAX_SECS)
    except (ValueError, OverflowError):
        return 0.0


def delay_secs(attempts: int, policy: RetryPolicy) -> float:
    """Delay after `attempts` failed attempts (1 or more): base, twice that, … up to the longest."""
    doublings = min(attempts - 1, 64)
    return min(policy.max_delay_secs, policy.base_delay_secs * 2.0**doublings)


def next_step(verdict: Verdict, attempts: int, policy: RetryPolicy) -> NextStep:
    """What follows `attempts` failed attempts, of which the last came to `verdict`."""
    if verdict.kind == "dead":
        return NextStep("dead", verdict.words)
    if attempts > policy.max_retries:
        reason = f"{verdict.words}, {attempts} attempts ({USED_UP}{policy.max_retries})"
        return NextStep("dead", reason)
    return NextStep("retry", verdict.words, max(delay_secs(attempts, policy), verdict.wait_secs))


def used_up(reason: str) -> bool:
    """True for the reason of a dead letter whose retries were used up; another answer was final."""
    return USED_UP in reason
