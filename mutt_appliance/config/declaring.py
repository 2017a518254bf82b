"""How a setting is declared, and what else is known of one than its type and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

SECTIONS: dict[str, str] = {
    "appliance": "Appliance",
    "embedded": "Embedded stores",
    "ingestor": "Ingestor",
    "alerter": "Alerter",
    "forwarder": "Moogsoft forwarder",
    "webui": "Web UI",
    "redis": "Redis",
    "database": "PostgreSQL",
    "retention": "Audit log retention",
    "secrets": "Secrets",
}
"""Titles of the sections, in the order of every list of settings."""


class Section(BaseModel):
    """Settings of one section, checked and immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)


def settings_of(section: str) -> Callable[..., Any]:
    """What declares the settings of `section`: setting(default, description, unit, limits of pydantic's Field).

    `unit` completes the sentence "must be a whole number of …".
    """

    def setting(default: Any, description: str, unit: str = "", **limits: Any) -> Any:
        extra: JsonDict = {"section": section, "unit": unit}
        return Field(default, description=description, json_schema_extra=extra, **limits)

    return setting


def variable_name(field: str) -> str:
    """Name of the environment variable that sets `field`."""
    return field.upper()


def extra_of(info: FieldInfo) -> dict[str, str]:
    """Section and unit of a setting, as declared."""
    extra = info.json_schema_extra
    return {k: str(v) for k, v in extra.items()} if isinstance(extra, dict) else {}
