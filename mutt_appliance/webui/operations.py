"""One operation of the API: what it takes and gives, and who may do it. Checks, handler and document come from it."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from mutt_appliance.queueing.changes import Change
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.webui.access import Person, Role
from mutt_appliance.webui.problems import FieldFault, Problem, faults_of, invalid
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.api")
PREFIX = "/api/v1"
JSON = "application/json"
BODY_MAX_BYTES = 4 << 20
VERSION_TAG = re.compile(r'"(\d{1,9})"')


@dataclass(frozen=True)
class Call:
    """One call of an operation, checked: `path`, `query` and `body` are instances of its models."""

    stores: Stores
    person: Person
    path: Any
    query: Any
    body: Any
    if_version: int | None


@dataclass(frozen=True)
class Reply:
    """What a handler answers: something that orjson can write; with `version` also an ETag."""

    body: Any = None
    status: HTTPStatus = HTTPStatus.OK
    version: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        """As an answer over HTTP."""
        headers = dict(self.headers)
        if self.version is not None:
            headers["ETag"] = f'"{self.version}"'
        if self.body is None:
            return web.Response(status=self.status.value, headers=headers)
        body = orjson.dumps(self.body, option=orjson.OPT_UTC_Z) + b"\n"
        return web.Response(body=body, status=self.status.value, headers={"Content-Type": JSON, **headers})


@dataclass(frozen=True)
class Download:
    """A file that is written while it is read; `chunks` must begin only once nothing can be refused any more."""

    filename: str
    content_type: str
    chunks: AsyncIterator[bytes]

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send it; a fault on the way ends the connection, so that nobody takes a part for the whole."""
        disposition = f'attachment; filename="{self.filename}"'
        response = web.StreamResponse(
            headers={"Content-Type": self.content_type, "Content-Disposition": disposition}
        )
        await response.prepare(request)
        try:
            async for chunk in self.chunks:
                await response.write(chunk)
            await response.write_eof()
        except Exception as error:  # noqa: BLE001 - the answer has begun: all that is left is to end it early
            gone = isinstance(error, ConnectionError)
            (log.info if gone else log.error)("download ended early", file=self.filename, error=str(error))
            if request.transport is not None:
                request.transport.abort()
        return response


Handler = Callable[[Call], Awaitable[Reply | Download]]


@dataclass(frozen=True)
class Operation:
    """`path` is below PREFIX; `answer` describes the body of a success; `problems` are the errors of its own.

    `media` are the content types of an answer that is a Download.
    """

    method: str
    path: str
    tag: str
    role: Role
    handler: Handler
    answer: type[BaseModel] | None
    status: HTTPStatus
    path_model: type[BaseModel] | None
    query_model: type[BaseModel] | None
    body_model: type[BaseModel] | None
    problems: tuple[HTTPStatus, ...]
    versioned: bool
    changes: Change | None
    media: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the handler, unique in the API."""
        return self.handler.__name__

    @property
    def description(self) -> str:
        """What the handler's docstring says."""
        return inspect.getdoc(self.handler) or ""


def operation(
    method: str,
    path: str,
    *,
    tag: str,
    role: Role,
    answer: type[BaseModel] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    path_model: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    problems: tuple[HTTPStatus, ...] = (),
    versioned: bool = False,
    changes: Change | None = None,
    media: tuple[str, ...] = (),
) -> Callable[[Handler], Operation]:
    """Declare the decorated coroutine as an operation.

    `versioned` ones take If-Match; what one `changes` is told to whoever keeps a copy, once it has succeeded.
    """

    def declare(handler: Handler) -> Operation:
        return Operation(
            method,
            path,
            tag,
            role,
            handler,
            answer,
            status,
            path_model,
            query,
            body,
            problems,
            versioned,
            changes,
            media,
        )

    return declare


@dataclass(frozen=True)
class Given:
    """What somebody sends to an operation, unchecked; `strict`: JSON has types, a form has only text."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    if_version: int | None = None
    strict: bool = True


async def perform(one: Operation, stores: Stores, person: Person, given: Given) -> Reply | Download:
    """Do it, if `person` may; raises Problem, and what the handler raises."""
    require(one, person)
    reply = await one.handler(checked_call(one, stores, person, given))
    if one.changes is not None:
        await stores.tell(one.changes)
    return reply


def require(one: Operation, person: Person) -> None:
    """Raise Problem 403 unless `person` may do it."""
    if not person.may(one.role):
        raise Problem(
            HTTPStatus.FORBIDDEN, f"{person.name} is {person.role.word}; this needs {one.role.word}"
        )


def checked_call(one: Operation, stores: Stores, person: Person, given: Given) -> Call:
    """The call that `given` makes of `one`; raises Problem with every field that is wrong."""
    faults: list[FieldFault] = []
    path = _checked(one.path_model, dict(given.path), "path", faults)
    query = _checked(one.query_model, dict(given.query), "query", faults)
    body = _checked(one.body_model, given.body, "body", faults, strict=given.strict)
    if faults:
        raise invalid(faults)
    return Call(stores, person, path, query, body, given.if_version)


async def given_by(request: web.Request, one: Operation) -> Given:
    """What `request` sends to `one`; raises Problem when it cannot be read."""
    body = None if one.body_model is None else await _json_body(request)
    return Given(dict(request.match_info), dict(request.query), body, _if_version(one, request))


def _checked(
    model: type[BaseModel] | None, value: Any, place: str, faults: list[FieldFault], *, strict: bool = False
) -> Any:
    if model is None:
        return None
    try:
        return model.model_validate(value, strict=strict)
    except ValidationError as error:
        faults += faults_of(error, place)
        return None


async def _json_body(request: web.Request) -> Any:
    if request.content_type not in (JSON, "application/octet-stream"):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type {request.content_type[:80]}: must be {JSON}"
        )
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {BODY_MAX_BYTES} bytes"
        ) from error
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error


def _if_version(one: Operation, request: web.Request) -> int | None:
    given = request.headers.get("If-Match", "").strip()
    if not one.versioned or given in ("", "*"):
        return None
    found = VERSION_TAG.fullmatch(given)
    if found is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f'If-Match: {given[:80]}: must be an ETag of this resource, such as "3"'
        )
    return int(found[1])
