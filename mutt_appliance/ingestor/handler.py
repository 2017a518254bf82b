"""POST /ingest."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
import uuid_utils
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mutt_appliance.config import Settings
from mutt_appliance.events.admission import Admission, Limits, admit
from mutt_appliance.ingestor.body import BodyTooLargeError, BodyUnreadableError, split_events, unpack
from mutt_appliance.ingestor.doors import Doors
from mutt_appliance.ingestor.group_commit import OverloadedError
from mutt_appliance.ingestor.rates import AcceptedCounter
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.dead_letter import now_rfc3339
from mutt_appliance.queueing.errors import ReplicasMissingError
from mutt_appliance.queueing.fullness import is_full, refusal_of
from mutt_appliance.queueing.intake import IntakeResult
from mutt_appliance.queueing.outcomes import OutcomeCounter
from mutt_appliance.secrets import Secrets
from mutt_appliance.secrets.caller_keys import CallerKeys
from mutt_appliance.telemetry.logs import debug_is_shown, get_logger
from mutt_appliance.telemetry.metrics import FAULTS_OF_SENDERS, IngestorMetrics, observe_all
from mutt_appliance.telemetry.secret_use import KeyUse, Which

log = get_logger("ingestor")
MAX_CORRELATION_ID_CHARS = 128
# Ids of single accepted events are listed up to this many, so that an answer stays small.
LISTED_IDS = 1000
# After these the rest of the body may still be on its way, so the connection cannot be used again.
UNREAD = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT)
ESCAPED_NUL = b"\\u0000"


class Rejection(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The request as a whole is answered with an error."""

    def __init__(self, status: HTTPStatus, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


class IngestHandler:
    """Answers POST /ingest; one instance serves all requests of a process."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        use: KeyUse,
        doors: Doors,
        metrics: IngestorMetrics,
        accepted: AcceptedCounter,
        outcomes: OutcomeCounter,
    ) -> None:
        self._settings = settings
        self._keys = CallerKeys(secrets.ingest_api_key, secrets.ingest_api_key_next)
        self._use = use
        self._used: Counter[Which] = Counter()
        self._limits = Limits.of(settings)
        self._doors = doors
        self._metrics = metrics
        self._accepted = accepted
        self._outcomes = outcomes
        self._ok = metrics.requests.labels(status="success", reason="")
        self._queued = metrics.events.labels(outcome="queued")
        self._duplicate = metrics.events.labels(outcome="duplicate")
        self._refused = metrics.events.labels(outcome="refused")
        self._succeeded = 0
        self._latencies: list[float] = []
        self.draining = False

    def use_secrets(self, secrets: Secrets) -> None:
        """The keys of which senders must give one from now on."""
        self._tell_use()
        self._use.renew(secrets)
        self._keys = CallerKeys(secrets.ingest_api_key, secrets.ingest_api_key_next)

    async def handle(self, request: web.Request, traceparent: str | None = None) -> web.Response:
        """The answer to one request; its time is measured from here.

        `traceparent` is what its events are to continue, as `admit` has it.
        """
        started = time.perf_counter()
        correlation_id = _correlation_id(request)
        try:
            admission, result = await self._take(request, correlation_id, traceparent)
            response = self._answer(admission, result, correlation_id)
            self._succeeded += 1
        except Rejection as rejection:
            self._failed(rejection.reason)
            response = self._rejected(rejection, correlation_id, request.remote)
        except _AllRefused as refused:
            self._failed("invalid")
            response = _json(refused.document(correlation_id), HTTPStatus.BAD_REQUEST, correlation_id)
        except Exception:
            # aiohttp answers with 500 and logs the traceback.
            self._failed("internal")
            raise
        self._latencies.append(time.perf_counter() - started)
        return response

    def tell_metrics(self) -> None:
        """Add what was counted since the last time; to be called often.

        Writing to the mapped files with every request took a twentieth of its time.
        """
        succeeded, self._succeeded = self._succeeded, 0
        latencies, self._latencies = self._latencies, []
        self._ok.inc(succeeded)
        self._outcomes.count("success", succeeded)
        observe_all(self._metrics.latency, latencies)
        self._tell_use()

    def _tell_use(self) -> None:
        for which, count in self._used.items():
            self._use.used(which, count)
        self._used.clear()

    def _failed(self, reason: str) -> None:
        self._metrics.requests.labels(status="fail", reason=reason).inc()
        if reason not in FAULTS_OF_SENDERS:
            self._outcomes.count("fail")

    async def _take(
        self, request: web.Request, correlation_id: str, traceparent: str | None
    ) -> tuple[Admission, IntakeResult]:
        if self.draining:
            raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, "draining", "MUTT is stopping: try again")
        which = self._keys.which(request.headers.get("X-API-KEY", ""))
        if which is None:
            raise Rejection(
                HTTPStatus.UNAUTHORIZED,
                "unauthorized",
                "X-API-KEY is missing or not the INGEST_API_KEY of this appliance",
            )
        self._used[which] += 1
        parsed, may_hold_nul = await self._read(request)
        admission = admit(parsed, self._limits, correlation_id, now_rfc3339(), may_hold_nul, traceparent)
        result = await self._queue(admission)
        queued = len(admission.events) - len(result.duplicates)
        self._accepted.pending += queued
        self._queued.inc(queued)
        if result.duplicates:
            self._duplicate.inc(len(result.duplicates))
        if admission.refused:
            self._refused.inc(len(admission.refused))
            log.warning(
                "events refused",
                correlation_id=correlation_id,
                address=request.remote,
                refused=len(admission.refused),
                of=len(parsed),
                first_reason=admission.refused[0].reason,
            )
            if not admission.events:
                raise _AllRefused(admission)
        if debug_is_shown():
            _tell_each(admission, result)
        return admission, result

    async def _read(self, request: web.Request) -> tuple[list[Any], bool]:
        limit = self._settings.ingest_max_body_bytes
        try:
            raw = await self._body(request)
            body = unpack(raw, request.headers.get("Content-Encoding", ""), limit)
            return split_events(body, self._settings.ingest_max_batch_events), ESCAPED_NUL in body
        except web.HTTPRequestEntityTooLarge as error:
            text = f"the body is larger than INGEST_MAX_BODY_BYTES={limit}"
            raise Rejection(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", text) from error
        except BodyTooLargeError as error:
            raise Rejection(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", str(error)) from error
        except BodyUnreadableError as error:
            raise Rejection(HTTPStatus.BAD_REQUEST, "invalid", str(error)) from error
        except (ConnectionError, aiohttp.ClientPayloadError, HttpProcessingError) as error:
            # The client hung up, or its chunks are none: nobody may hear the answer, but it is no fault of ours.
            text = "the body broke off before its end: send the events again"
            raise Rejection(HTTPStatus.BAD_REQUEST, "incomplete", text) from error
        except TimeoutError as error:
            text = (
                f"the body was not there within INGEST_BODY_TIMEOUT={self._settings.ingest_body_timeout:g} s"
            )
            raise Rejection(HTTPStatus.REQUEST_TIMEOUT, "incomplete", text) from error

    async def _body(self, request: web.Request) -> bytes:
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(self._settings.ingest_body_timeout):
            return await request.read()

    async def _queue(self, admission: Admission) -> IntakeResult:
        try:
            result = await self._doors.submit(admission)
        except ReplicasMissingError as error:
            text = (
                f"Redis may lose the events if it fails now: {error}: send them again, with the same event_id"
            )
            raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, "replicas", text) from error
        except (RedisError, OSError) as error:
            if refusal := refusal_of(error):
                text = f"{refusal}: nothing was queued, send the events again"
                reason = "redis_full" if is_full(error) else "redis_disk"
                raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, reason, text) from error
            text = "Redis is not reachable: nothing was queued for certain, send the events again"
            raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, "redis", text) from error
        except OverloadedError as error:
            text = "Redis is slow and too much is waiting for it: send the events again"
            raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", text) from error
        if not result.accepted:
            # Otherwise the depths follow once a second: to write them costs more than to check an event.
            self._metrics.queue_depth.set(result.queue_depth)
            self._metrics.dlq_depth.set(result.dead_depth)
            place = "ingest queue" if self._settings.redis_shards == 1 else "ingest queue of a shard"
            text = (
                f"the {place} is full ({result.queue_depth} events, MAX_INGEST_QUEUE_SIZE="
                f"{self._settings.max_ingest_queue_size}): send the events again"
            )
            raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, "queue_full", text)
        return result

    def _answer(self, admission: Admission, result: IntakeResult, correlation_id: str) -> web.Response:
        document: dict[str, Any] = {
            "status": "queued" if not admission.refused else "partly queued",
            "correlation_id": correlation_id,
            "queued": len(admission.events) - len(result.duplicates),
            "duplicates": len(result.duplicates),
            "refused": [{"index": r.index, "reason": r.reason} for r in admission.refused],
        }
        if len(admission.event_ids) == 1 or (admission.refused and len(admission.event_ids) <= LISTED_IDS):
            document["event_ids"] = admission.event_ids
        return _json(document, HTTPStatus.OK, correlation_id)

    def _rejected(self, rejection: Rejection, correlation_id: str, address: str | None) -> web.Response:
        log.warning(
            "request rejected",
            correlation_id=correlation_id,
            status=rejection.status.value,
            reason=rejection.reason,
            address=address,
        )
        document = {"error": str(rejection), "correlation_id": correlation_id}
        response = _json(document, rejection.status, correlation_id)
        if rejection.status is HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(self._settings.ingest_retry_after_seconds)
        if self.draining or rejection.status in UNREAD:
            response.force_close()
        return response


class _AllRefused(Exception):  # noqa: N818 - an answer, not a failure of ours
    def __init__(self, admission: Admission) -> None:
        super().__init__("every event was refused")
        self.admission = admission

    def document(self, correlation_id: str) -> dict[str, Any]:
        return {
            "error": "every event of the request was refused; each is in the dead letter queue with its reason",
            "correlation_id": correlation_id,
            "queued": 0,
            "duplicates": 0,
            "refused": [{"index": r.index, "reason": r.reason} for r in self.admission.refused],
        }


def _tell_each(admission: Admission, result: IntakeResult) -> None:
    """A line for each event: one may have a correlation id of its own."""
    for index, (_, payload) in enumerate(admission.events):
        event = orjson.loads(payload)
        log.debug(
            "event is a duplicate" if index in result.duplicates else "event queued",
            correlation_id=event["correlation_id"],
            event_id=event["event_id"],
        )


def _correlation_id(request: web.Request) -> str:
    given = request.headers.get("X-Correlation-ID", "")
    if given and len(given) <= MAX_CORRELATION_ID_CHARS and given.isprintable():
        return given
    return str(uuid_utils.uuid7())


def _json(document: dict[str, Any], status: HTTPStatus, correlation_id: str) -> web.Response:
    return web.Response(
        body=orjson.dumps(document) + b"\n",
        status=status,
        headers={"Content-Type": "application/json", "X-Correlation-ID": correlation_id},
    )
