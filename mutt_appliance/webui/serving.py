"""Operations as routes: who asks, may they, is it right, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus

import orjson
from aiohttp import web

from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.fullness import refusal_of
from mutt_appliance.store.editing import ConflictError, NotFoundError, VersionError
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import WebuiMetrics
from mutt_appliance.webui.access import Person
from mutt_appliance.webui.keyring import KeyRing
from mutt_appliance.webui.openapi import document
from mutt_appliance.webui.operations import JSON, PREFIX, Download, Operation, given_by, perform, require
from mutt_appliance.webui.problems import Problem
from mutt_appliance.webui.sessions import COOKIE, Sessions
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.api")
KEY_HEADER = "X-API-KEY"
CSRF_HEADER = "X-CSRF-Token"
RETRY_AFTER = {"Retry-After": "5"}
AioHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_operations(
    app: web.Application,
    operations: Iterable[Operation],
    stores: Stores,
    keyring: KeyRing,
    sessions: Sessions,
    metrics: WebuiMetrics,
) -> None:
    """Serve `operations` below PREFIX; what is none of them is answered as a problem too."""
    by_path: dict[str, list[Operation]] = {}
    for one in operations:
        by_path.setdefault(PREFIX + one.path, []).append(one)
    for path, listed in by_path.items():
        for one in listed:
            app.router.add_route(one.method, path, _route(one, stores, keyring, sessions, metrics))
        # Else DELETE /rules/export would be taken for one of a rule called export.
        app.router.add_route("*", path, _not_allowed([one.method for one in listed]))


def add_document(app: web.Application, operations: Sequence[Operation]) -> None:
    """Serve the OpenAPI document of `operations`, to everybody: it is in the source anyway."""
    body = orjson.dumps(document(operations), option=orjson.OPT_INDENT_2) + b"\n"

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": JSON})

    app.router.add_get(f"{PREFIX}/openapi.json", answer)


@web.middleware
async def problems_below_api(request: web.Request, handler: AioHandler) -> web.StreamResponse:
    """Give aiohttp's own errors (404, 405) the form of the others."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if not request.path.startswith(PREFIX) or error.status < 400:
            raise
        status = HTTPStatus(error.status)
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return Problem(
            status, f"{request.method} {request.path[:80]}: {status.description}", (), headers
        ).response()


def _not_allowed(methods: list[str]) -> AioHandler:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, methods)

    return answer


def _route(
    one: Operation, stores: Stores, keyring: KeyRing, sessions: Sessions, metrics: WebuiMetrics
) -> AioHandler:
    endpoint = PREFIX + one.path

    async def answer(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        response: web.StreamResponse
        try:
            person = await who_asks(request, keyring, sessions)
            require(one, person)
            reply = await perform(one, stores, person, await given_by(request, one))
            response = await reply.send(request) if isinstance(reply, Download) else reply.response()
        except Exception as error:  # noqa: BLE001 - every error is an answer, and ours are logged
            response = as_problem(error, one.name).response()
        metrics.requests.labels(endpoint=endpoint, status=str(response.status)).inc()
        metrics.latency.labels(endpoint=endpoint).observe(time.perf_counter() - started)
        return response

    return answer


async def who_asks(request: web.Request, keyring: KeyRing, sessions: Sessions) -> Person:
    """The person whose key or session the request has; raises Problem 401.

    A session may only look, unless the request also has the token that our pages know: a browser sends the
    cookie with whatever made it ask.
    """
    key = request.headers.get(KEY_HEADER)
    if key is not None:
        holder = await keyring.holder(key)
        if holder is not None:
            return holder.person
    else:
        session = await sessions.find(request.cookies.get(COOKIE, ""))
        if session is not None and (
            request.method == "GET" or session.has_csrf(request.headers.get(CSRF_HEADER, ""))
        ):
            return session.person
    raise Problem(HTTPStatus.UNAUTHORIZED, f"{KEY_HEADER} is missing or no key of this appliance")


def as_problem(error: Exception, where: str) -> Problem:
    """What an error is to the caller; those that are a fault of ours are logged."""
    match error:
        case Problem():
            return error
        case NotFoundError():
            return Problem(HTTPStatus.NOT_FOUND, str(error))
        case ConflictError():
            return Problem(HTTPStatus.CONFLICT, str(error))
        case VersionError():
            return Problem(HTTPStatus.PRECONDITION_FAILED, f"{error}: look at it again before you change it")
        case StoreUnavailable():
            log.warning("the database is away", operation=where, error=str(error))
            return Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the database cannot do this now: try again",
                (),
                RETRY_AFTER,
            )
        case RedisError() | OSError():
            log.warning("a store is away", operation=where, error=str(error))
            detail = refusal_of(error) or "a store does not answer: try again"
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, (), RETRY_AFTER)
    log.error("request failed", operation=where, exc_info=error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of MUTT: its log says more")
