"""The API as a page, made from the same operations as the OpenAPI document."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from aiohttp import web

from mutt_appliance.webui.api import OPERATIONS
from mutt_appliance.webui.openapi import document
from mutt_appliance.webui.operations import PREFIX
from mutt_appliance.webui.pages.visit import Visit, page


@page("GET", "/api")
async def api_document(visit: Visit) -> web.Response:
    """Every operation with its fields and answers."""
    whole = document(OPERATIONS)
    return visit.show(
        "api.html",
        groups=_groups(whole),
        schemas=whole["components"]["schemas"],
        prefix=PREFIX,
        words=words_of,
    )


def _groups(whole: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Operations by tag, each tag once, in the order of the document."""
    listed = [
        {"path": path, "method": method.upper(), **described}
        for path, methods in whole["paths"].items()
        for method, described in methods.items()
    ]
    order = list(dict.fromkeys(each["tags"][0] for each in listed))
    listed.sort(key=lambda each: order.index(each["tags"][0]))
    return [(tag, list(each)) for tag, each in groupby(listed, key=lambda each: each["tags"][0])]


def words_of(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words: `integer, 1 to 200, or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(words_of(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {words_of(schema.get('items', {}))}"
    if kind == "string" and "format" in schema:
        return str(schema["format"])
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind}, {low} to {high}"
    if low is not None:
        return f"{kind}, {low} or more"
    if "maxLength" in schema:
        return f"{kind}, at most {schema['maxLength']} characters"
    return str(kind)


PAGES = (api_document,)
