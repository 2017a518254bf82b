"""The secrets of the appliance as one value that cannot be printed by accident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self

NEXT = "_next"


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys by their names in lower case; `repr` shows none of them.

    During a rotation a `…_next` is the value that follows: API keys of callers are accepted in both, our own
    passwords are tried in both.
    """

    ingest_api_key: str = field(default="", repr=False)
    moog_api_key: str = field(default="", repr=False)
    webui_api_key: str = field(default="", repr=False)
    redis_pass: str = field(default="", repr=False)
    db_pass: str = field(default="", repr=False)
    redis_sentinel_pass: str = field(default="", repr=False)
    ingest_api_key_next: str = field(default="", repr=False)
    moog_api_key_next: str = field(default="", repr=False)
    webui_api_key_next: str = field(default="", repr=False)
    redis_pass_next: str = field(default="", repr=False)
    db_pass_next: str = field(default="", repr=False)
    redis_sentinel_pass_next: str = field(default="", repr=False)
    otel_exporter_otlp_headers: str = field(default="", repr=False)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Self:
        """Out of values by the names of the variables (INGEST_API_KEY …); others are left alone."""
        known = {field.name for field in fields(cls)}
        return cls(**{name.lower(): value for name, value in values.items() if name.lower() in known})

    def both(self, name: str) -> tuple[str, str]:
        """The current and the next value of `name` ("redis_pass"), empty where there is none."""
        return getattr(self, name), getattr(self, name + NEXT)


NAMES = tuple(field.name for field in fields(Secrets) if hasattr(Secrets, field.name + NEXT))
"""Each secret that can be rotated, once, without its `…_next`."""
