"""Requests under way: each is a task that posts, judges, counts, and says what becomes of its jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mutt_appliance.forwarder.breaker import Breaker
from mutt_appliance.forwarder.holdings import Holdings
from mutt_appliance.forwarder.housekeeping import end
from mutt_appliance.forwarder.jobs import Job, body_of, outcome_of
from mutt_appliance.forwarder.retry import RetryPolicy, Verdict
from mutt_appliance.forwarder.sender import Sender
from mutt_appliance.forwarder.spans import DeliverySpans
from mutt_appliance.process import Child
from mutt_appliance.queueing.alerts import Outcome
from mutt_appliance.queueing.circuit import Failed
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.queueing.limiter import RateLimiter
from mutt_appliance.queueing.outcomes import Outcome as RequestOutcome
from mutt_appliance.queueing.outcomes import OutcomeCounter
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import ForwarderMetrics

log = get_logger("forwarder.requests")

# Final answers that are about one alert and say nothing against the receiver or the way to it.
ABOUT_THE_ALERT = frozenset({"http_400", "http_409", "http_413", "http_422"})
STATUS_OF_OUTCOME = {"done": "success", "dead": "dlq", "retry": "error"}


class Requests:
    """Begins requests and puts their results into the holdings that their jobs came from.

    Each request uses up a token of the rate limit and ends it. `one_more` gives the token for sending
    a request a second time, with another key, or None when there is none to be had.
    """

    def __init__(
        self,
        child: Child,
        live: LiveSettings,
        sender: Sender,
        metrics: ForwarderMetrics,
        outcomes: OutcomeCounter,
        limiter: RateLimiter,
        one_more: Callable[[], Awaitable[str | None]],
        breaker: Breaker,
        on_answered_probe: Callable[[], Awaitable[None]],
    ) -> None:
        self._child = child
        self._live = live
        self._sender = sender
        self._metrics = metrics
        self._request_outcomes = outcomes
        self._limiter = limiter
        self._one_more = one_more
        self._breaker = breaker
        self._on_answered_probe = on_answered_probe
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures_in_a_row = 0
        self._tracing = child.start_tracing()

    def begin(
        self,
        token: str,
        holdings: Holdings,
        on_end: Callable[[], None],
        group: asyncio.TaskGroup,
        *,
        probe: bool = False,
    ) -> None:
        """Post the next jobs of `holdings` in one request, as a task of `group`; `on_end` is called after it."""
        task = group.create_task(self._request(token, holdings.next_batch(), holdings, on_end, probe=probe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def give_up(self) -> None:
        """End what is under way; what became of it at the receiver stays unknown."""
        await end(list(self._tasks))

    def count(self, outcomes: Sequence[Outcome]) -> None:
        """Count settled alerts by what became of them."""
        for kind, status in STATUS_OF_OUTCOME.items():
            number = sum(outcome.kind == kind for outcome in outcomes)
            if number:
                self._metrics.alerts.labels(status).inc(number)

    async def _request(
        self, token: str, jobs: list[Job], holdings: Holdings, on_end: Callable[[], None], *, probe: bool
    ) -> None:
        started = time.perf_counter()
        with DeliverySpans(self._tracing, jobs, self._sender.url) as spans:
            verdict = await self._post(token, body_of(jobs, self._live.current), spans.headers)
            spans.answered(verdict)
        self._metrics.latency.observe(time.perf_counter() - started)
        status: RequestOutcome = "success" if verdict.kind == "done" else "fail"
        self._metrics.requests.labels(status, verdict.reason).inc()
        self._request_outcomes.count(status)
        self._report_health(verdict)
        failed = await self._count_for_circuit(verdict, probe=probe)
        if verdict.kind == "dead" and len(jobs) > 1:
            log.warning(
                "batch refused, its alerts are sent one by one", reason=verdict.words, alerts=len(jobs)
            )
            holdings.send_singly(jobs)
        else:
            holdings.finish([self._conclude(job, verdict, failed, probe=probe) for job in jobs])
        on_end()

    async def _post(self, token: str, body: bytes, further: Mapping[str, str]) -> Verdict:
        in_use = [token]

        async def may_repeat() -> bool:
            self._limiter.end(in_use.pop())
            another = await self._one_more()
            if another is not None:
                in_use.append(another)
            return another is not None

        try:
            return await self._sender.post(body, may_repeat, further)
        finally:
            for each in in_use:
                self._limiter.end(each)

    async def _count_for_circuit(self, verdict: Verdict, *, probe: bool) -> Failed | None:
        """None for a request that shows that Moogsoft is there, whatever it makes of the alert."""
        if probe:
            self._metrics.probes.labels("failed" if verdict.like_an_outage else "answered").inc()
        if verdict.like_an_outage:
            return await self._breaker.failed(verdict, probe=probe)
        self._breaker.worked()
        if probe:
            await self._on_answered_probe()
        return None

    def _conclude(self, job: Job, verdict: Verdict, failed: Failed | None, *, probe: bool) -> Outcome:
        settings = self._live.current
        if failed is not None and failed.open:
            # The outage is to blame and not the alert: it waits as it is, that of a probe after the others.
            log.debug("attempt failed in an outage", **job.label(), reason=verdict.words)
            if probe:
                return Outcome("retry", job.item, job.item, self._breaker.state.interval_ms)
            return Outcome("release", job.item)
        policy = RetryPolicy(
            settings.moog_max_retries, settings.moog_retry_base_delay, settings.moog_retry_max_delay
        )
        outcome = outcome_of(job, verdict, policy, failed.row if failed else 0)
        if outcome.kind == "done":
            log.debug("alert delivered", **job.label())
        elif outcome.kind == "retry":
            log.warning(
                "attempt failed", **job.label(), reason=verdict.words, again_in_secs=outcome.delay_ms / 1000
            )
        else:
            log.warning("attempt failed, the alert is a dead letter", **job.label(), reason=verdict.words)
        return outcome

    def _report_health(self, verdict: Verdict) -> None:
        place = self._sender.place
        if verdict.kind == "done":
            self._failures_in_a_row = 0
            if self._child.health.set("moogsoft", True, f"{place} accepts alerts"):
                log.info("moogsoft accepts alerts", place=place)
        elif verdict.reason not in ABOUT_THE_ALERT:
            self._failures_in_a_row += 1
            detail = f"{place}: {verdict.words}, {self._failures_in_a_row} failed requests in a row"
            if self._child.health.set("moogsoft", False, detail):
                log.error("moogsoft does not accept alerts", place=place, reason=verdict.words)
