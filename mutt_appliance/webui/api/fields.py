"""Types of fields that several models share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

LARGEST_INTEGER = 2**31 - 1


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not have a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return value


Text = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
Number = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
Time = datetime


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _moment(value: object) -> object:
    """JSON has no type for a time: it is text there, too, where types are looked at strictly."""
    return _TIME_OF_TEXT.validate_python(value) if isinstance(value, str) else value


_TIME_OF_TEXT = TypeAdapter(datetime)
Moment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(_aware)]
"""A time that a caller sends; UTC where no zone is given."""


class Strict(BaseModel):
    """What callers send: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid")


def without_defaults(schema: dict[str, Any]) -> None:
    """For models of a change: what is left out is left alone, whatever the model's default is."""
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


class HostPath(Strict):
    """A host in the address."""

    hostname: Name
