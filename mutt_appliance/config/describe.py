"""Words for a setting's type and limits, taken from its declaration."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from mutt_appliance.config.declaring import extra_of


def requirement(info: FieldInfo) -> str:
    """What a value must be: "a whole number of requests, 1 or more"."""
    kind = plain_type(info.annotation)
    unit = extra_of(info).get("unit", "")
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if kind is bool:
        return "true or false"
    if kind is int:
        return f"a whole number{f' of {unit}' if unit else ''}{_limits(info)}"
    if kind is float:
        return f"a number{f' of {unit}' if unit else ''}{_limits(info)}"
    if kind is Path:
        return "a path"
    if get_origin(kind) is tuple:
        return f"a comma-separated list of {unit or 'names'}"
    pattern = _pattern(info)
    if pattern is not None:
        return _PATTERN_WORDS.get(pattern, f"text of the form {pattern}")
    return "text that is not empty"


_PATTERN_WORDS = {
    r"^https?://[^\s/]+\S*$": "an http:// or https:// URL",
    r"^https?://\S+$": "an http:// or https:// URL",
    r"^[A-Za-z0-9._-]{1,64}$": "1 to 64 letters, digits, dots, dashes or underscores",
    r"^[A-Za-z0-9._-]+$": "letters, digits, dots, dashes and underscores",
    r"^[A-Za-z0-9-]+$": "letters, digits and dashes",
    r"^[A-Za-z_][A-Za-z0-9_$-]{0,62}$": "a PostgreSQL name of at most 63 letters, digits, dashes or underscores",
    r"^[^/\s]+/\S+$": "a mount and a path, such as secret/mutt",
    r"(?i)^\d+([kmg]b?)?$": "a number of bytes, with kb, mb or gb if you like",
}


def plain_type(annotation: Any) -> Any:
    """The type of a setting without its `| None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return rest[0]
    return annotation


def _pattern(info: FieldInfo) -> str | None:
    return next((m.pattern for m in info.metadata if getattr(m, "pattern", None)), None)


def _limits(info: FieldInfo) -> str:
    low = high = ""
    for meta in info.metadata:
        if isinstance(meta, annotated_types.Ge):
            low = f"{meta.ge}"
        elif isinstance(meta, annotated_types.Gt):
            low = f"more than {meta.gt}"
        elif isinstance(meta, annotated_types.Le):
            high = f"{meta.le}"
    if low and high:
        return f", {low} to {high}"
    if low:
        return f", {low} or more" if not low.startswith("more") else f", {low}"
    return f", at most {high}" if high else ""
