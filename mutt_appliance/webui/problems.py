"""Errors of the API as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

CONTENT_TYPE = "application/problem+json"
SHOWN_MAX_CHARS = 80


class FieldFault(BaseModel):
    """What is wrong with one field; `field` is its place in the request, as `body.priority` or `query.page`."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """An error. `detail` says what to do; `errors` names each field that is wrong."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldFault] = []


class Problem(Exception):  # noqa: N818 - an answer, not a failure of ours
    """Raised anywhere below a handler: the answer is this problem."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Iterable[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """The problem as an answer."""
        document = ProblemDocument(
            type="about:blank",
            title=self.status.phrase,
            status=self.status.value,
            detail=self.detail,
            errors=list(self.errors),
        )
        return web.Response(
            body=orjson.dumps(document.model_dump()) + b"\n",
            status=self.status.value,
            headers={"Content-Type": CONTENT_TYPE, **self.headers},
        )


def invalid(faults: Iterable[FieldFault]) -> Problem:
    """422: the request can be read, but fields of it are wrong."""
    listed = tuple(faults)
    words = "; ".join(f"{fault.field}: {fault.message}" for fault in listed)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, words, listed)


def faults_of(error: ValidationError, place: str) -> list[FieldFault]:
    """The faults that pydantic found, in words, below `place` ("body", "query", "path")."""
    return [
        FieldFault(
            field=".".join([place, *map(str, fault["loc"])]),
            message=_words(fault["type"], fault["msg"], fault.get("input")),
        )
        for fault in error.errors(include_url=False)
    ]


def _words(kind: str, message: str, value: Any) -> str:
    if kind == "missing":
        return "must be given"
    if kind == "extra_forbidden":
        return "is not known here"
    text = message[:1].lower() + message[1:]
    text = text.removeprefix("input should be ").removeprefix("value error, ")
    shown = repr(value)
    if len(shown) > SHOWN_MAX_CHARS:
        shown = shown[:SHOWN_MAX_CHARS] + "…"
    return f"{shown}: must be {text}" if message.startswith("Input should be ") else f"{shown}: {text}"
