"""One operation of the API: what it takes and gives, and who may do it. Checks, handler and document come from it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from mutt_appliance.queueing.changes import Change
from mutt_appliance.webui.access import Person, Role
from mutt_appliance.webui.problems import FieldFault, Problem, faults_of, invalid
from mutt_appliance.webui.stores import Stores

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


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True)
class Operation:
    """`path` is below PREFIX; `answer` describes the body of a success; `problems` are the errors of its own."""

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
        )

    return declare


async def checked_call(one: Operation, request: web.Request, stores: Stores, person: Person) -> Call:
    """The call that `request` makes of `one`; raises Problem with every field that is wrong."""
    faults: list[FieldFault] = []
    path = _checked(one.path_model, dict(request.match_info), "path", faults)
    query = _checked(one.query_model, dict(request.query), "query", faults)
    body = None
    if one.body_model is not None:
        body = _checked(one.body_model, await _json_body(request), "body", faults, strict=True)
    if faults:
        raise invalid(faults)
    return Call(stores, person, path, query, body, _if_version(one, request))


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
