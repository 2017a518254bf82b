"""From a claimed item to what is sent, and from the result to what becomes of the item (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mutt_appliance.config import Settings
from mutt_appliance.events.tracing import TRACED_FIELD
from mutt_appliance.forwarder.moog import cloud_event, lam_event
from mutt_appliance.forwarder.retry import RetryPolicy, Verdict, next_step
from mutt_appliance.queueing.alerts import Outcome
from mutt_appliance.queueing.dead_letter import dead_letter, now_rfc3339

DEAD_LETTER_SOURCE = "moog"
NOT_AN_OBJECT = "not a JSON object"
SPARED_MOST = 10
# Of an earlier attempt's note, what the next one's has as well.
KEPT = ("spared", "replays")


@dataclass(frozen=True)
class Job:
    """A claimed alert, ready to be sent.

    `item` are the bytes in Redis, `payload` is its JSON for Moogsoft, `failed_before` the attempts
    that earlier claims made, `alone` that it must not share a request.
    """

    item: bytes
    alert: dict[str, Any]
    payload: bytes
    failed_before: int = 0
    alone: bool = False

    @property
    def attempt(self) -> int:
        """Number of the attempt that is made now, from 1."""
        return self.failed_before + 1

    def label(self) -> dict[str, Any]:
        """What a log line says about it."""
        return {
            "correlation_id": self.alert.get("correlation_id"),
            "event_id": self.alert.get("event_id"),
            "alert_id": self.alert.get("alert_id"),
            "attempt": self.attempt,
        }


def prepare(item: bytes, settings: Settings) -> Job | Outcome:
    """The job for a claimed item, or its end as a dead letter when it cannot be an alert."""
    try:
        alert = orjson.loads(item)
    except orjson.JSONDecodeError as error:
        return _poison(item, f"{NOT_AN_OBJECT}: {error}")
    if not isinstance(alert, dict):
        return _poison(item, NOT_AN_OBJECT)
    build = cloud_event if settings.moog_format == "cloud" else lam_event
    try:
        payload = orjson.dumps(build(alert, settings.moog_signature_fields))
    # Whatever one alert holds that cannot be written for Moogsoft must not stop the others.
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return _poison(item, f"cannot be written for Moogsoft: {type(error).__name__}: {error}")
    return Job(item, alert, payload, failed_before=_attempts_of(alert))


def body_of(jobs: Sequence[Job], settings: Settings) -> bytes:
    """Request body: an array in the cloud format, else the object of the only job."""
    if settings.moog_format == "cloud":
        return b"[" + b",".join(job.payload for job in jobs) + b"]"
    (job,) = jobs
    return job.payload


def outcome_of(job: Job, verdict: Verdict, policy: RetryPolicy, row: int = 0) -> Outcome:
    """What becomes of the item of `job` after its attempt came to `verdict`.

    `row` says which failures in a row the attempt was one of, should they turn out to be an outage.
    """
    if verdict.kind == "done":
        return Outcome("done", job.item, _note_of_traced(job))
    step = next_step(verdict, job.attempt, policy)
    reason = step.reason
    if step.kind == "retry":
        try:
            again = orjson.dumps({**job.alert, "delivery": _delivery(job, step.reason, row)})
        except orjson.JSONEncodeError as error:
            reason = f"{step.reason}, and cannot be kept for a retry: {error}"
        else:
            return Outcome("retry", job.item, again, round(step.delay_secs * 1000))
    return Outcome("dead", job.item, dead_letter(job.item, reason, job.attempt, DEAD_LETTER_SOURCE))


def _note_of_traced(job: Job) -> bytes:
    """What is kept of a delivery whose sender wants to follow it (`mutt-ctl send`); nothing of any other."""
    event = job.alert.get("event")
    if not isinstance(event, dict) or event.get(TRACED_FIELD) is not True:
        return b""
    return orjson.dumps(
        {"alert_id": job.alert.get("alert_id"), "attempts": job.attempt, "delivered_at": now_rfc3339()}
    )


def spared(item: bytes, row: int) -> bytes:
    """A waiting alert without the attempts that failed in `row`, which was an outage.

    An alert that opens the circuit by itself, again and again, is spared so often and not for ever.
    """
    try:
        alert = orjson.loads(item)
    except orjson.JSONDecodeError:
        return item
    delivery = alert.get("delivery") if isinstance(alert, dict) else None
    if not row or not isinstance(delivery, dict) or delivery.get("row") != row:
        return item
    times = _number(delivery, "spared")
    if times >= SPARED_MOST:
        return item
    kept = {name: value for name, value in delivery.items() if name not in ("row", "before")}
    attempts = _number(delivery, "before")
    return orjson.dumps({**alert, "delivery": {**kept, "attempts": attempts, "spared": times + 1}})


def _delivery(job: Job, reason: str, row: int) -> dict[str, Any]:
    found = job.alert.get("delivery")
    earlier: dict[str, Any] = found if isinstance(found, dict) else {}
    now = {
        "attempts": job.attempt,
        "first_failed_at": earlier.get("first_failed_at") or now_rfc3339(),
        "last_error": reason,
    }
    kept = {name: earlier[name] for name in KEPT if name in earlier}
    if not row:
        return {**kept, **now}
    before = _number(earlier, "before") if earlier.get("row") == row else job.failed_before
    return {**kept, **now, "row": row, "before": before}


def _number(delivery: dict[str, Any], name: str) -> int:
    value = delivery.get(name)
    return max(value, 0) if type(value) is int else 0


def _attempts_of(alert: dict[str, Any]) -> int:
    delivery = alert.get("delivery")
    return _number(delivery, "attempts") if isinstance(delivery, dict) else 0


def _poison(item: bytes, reason: str) -> Outcome:
    return Outcome("dead", item, dead_letter(item, reason, 0, DEAD_LETTER_SOURCE))
