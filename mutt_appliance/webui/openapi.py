"""The OpenAPI 3.1 document, made from the operations that are served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from mutt_appliance import __version__
from mutt_appliance.webui.operations import JSON, PREFIX, Operation
from mutt_appliance.webui.problems import CONTENT_TYPE, ProblemDocument

REF = "#/components/schemas/{model}"
ALWAYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Problems that any operation may answer with."""
WITH_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document."""
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(one, schemas)
    used = {name: schema for name, schema in sorted(schemas.items()) if not name.endswith(("Path", "Query"))}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MUTT management API",
            "version": __version__,
            "description": "Rules, audit log and state of a MUTT appliance.",
            "license": {"name": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": used,
            "responses": {
                _problem_name(status): _problem(status)
                for status in sorted({status for one in operations for status in _problems(one)})
            },
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}},
        },
        "security": [{"key": []}],
    }


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    inputs: set[type[BaseModel]] = set()
    outputs: set[type[BaseModel]] = {ProblemDocument}
    for one in operations:
        inputs |= {model for model in (one.body_model, one.path_model, one.query_model) if model}
        outputs |= {one.answer} if one.answer else set()
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in sorted(inputs, key=lambda model: model.__name__)),
        *((model, "serialization") for model in sorted(outputs - inputs, key=lambda model: model.__name__)),
    ]
    _, schema = models_json_schema(wanted, ref_template=REF)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


def _operation(one: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = one.description.partition("\n\n")
    success: dict[str, Any] = {"description": one.status.phrase}
    if one.answer is not None:
        success["content"] = {JSON: {"schema": {"$ref": REF.format(model=one.answer.__name__)}}}
    if one.media:
        success["content"] = {media: {"schema": {}} for media in one.media}
    if one.versioned or (one.method == "GET" and one.path.endswith("}")):
        success["headers"] = {
            "ETag": {"description": "The version, for If-Match", "schema": {"type": "string"}}
        }
    described: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": re.sub(r"\s+", " ", summary).rstrip("."),
        "description": (more + f"\n\nRole: {one.role.word}.").strip(),
        "parameters": [
            *_parameters(one.path_model, "path", schemas),
            *_parameters(one.query_model, "query", schemas),
            *([_IF_MATCH] if one.versioned else []),
        ],
        "responses": {
            str(one.status.value): success,
            **{
                str(status.value): {"$ref": f"#/components/responses/{_problem_name(status)}"}
                for status in _problems(one)
            },
        },
    }
    if one.body_model is not None:
        described["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": {"$ref": REF.format(model=one.body_model.__name__)}}},
        }
    return described


_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that was read: the change is refused with 412 when somebody was quicker",
    "schema": {"type": "string", "pattern": r'^(\*|"\d{1,9}")$'},
}


def _parameters(
    model: type[BaseModel] | None, place: str, schemas: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    if model is None:
        return
    schema = schemas[model.__name__]
    for name, described in schema["properties"].items():
        rest = {key: value for key, value in described.items() if key not in ("description", "title")}
        yield {
            "name": name,
            "in": place,
            "required": place == "path" or name in schema.get("required", ()),
            "description": described.get("description", ""),
            "schema": rest,
        }


def _problems(one: Operation) -> list[HTTPStatus]:
    extra = [HTTPStatus.PRECONDITION_FAILED] if one.versioned else []
    return sorted({*ALWAYS, *(WITH_BODY if one.body_model else ()), *one.problems, *extra})


def _problem_name(status: HTTPStatus) -> str:
    return status.phrase.replace(" ", "").replace("-", "")


def _problem(status: HTTPStatus) -> dict[str, Any]:
    return {
        "description": status.phrase,
        "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(model=ProblemDocument.__name__)}}},
    }
