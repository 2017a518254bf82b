"""Settings that can be changed while MUTT runs: which they are, and what holds when some were changed (pure).

Type, limits, unit and meaning are those of the setting; its value from the environment is the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import annotated_types
from pydantic import TypeAdapter, ValidationError

from mutt_appliance.config.checks import order_faults
from mutt_appliance.config.declaring import extra_of
from mutt_appliance.config.describe import plain_type, requirement
from mutt_appliance.config.settings import Settings

DYNAMIC: Final = (
    "log_level",
    "cache_reload_interval",
    "unhandled_threshold",
    "unhandled_expiry_seconds",
    "alerter_queue_warn_threshold",
    "alerter_queue_shed_threshold",
    "alerter_shed_mode",
    "alerter_defer_sleep_ms",
    "alerter_max_retries",
    "moog_rate_limit",
    "moog_rate_period",
    "moog_max_retries",
    "moog_circuit_failures",
    "moog_circuit_probe_interval",
    "moog_circuit_probe_max_interval",
    "moog_dlq_replay_max",
    "slo_ingestor_target",
    "slo_forwarder_target",
    "slo_window_hours",
)


WHOLE_MOST: Final = 2**53
"""Neither Lua nor JSON keeps all digits of a larger number."""


class DynamicError(Exception):
    """A value that a dynamic setting cannot have; the text says what it must be."""


@dataclass(frozen=True)
class Described:
    """A dynamic setting as a person who changes it needs to know it."""

    name: str
    kind: Literal["integer", "number", "choice"]
    section: str
    unit: str
    description: str
    requirement: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]


def describe(name: str) -> Described:
    """What there is to know about `name`, one of DYNAMIC."""
    info = Settings.model_fields[name]
    kind = plain_type(info.annotation)
    extra = extra_of(info)
    choices = tuple(str(choice) for choice in get_args(kind)) if get_origin(kind) is Literal else ()
    lows: list[Any] = [
        m.ge if isinstance(m, annotated_types.Ge) else m.gt for m in info.metadata if _is_low(m)
    ]
    highs: list[Any] = [m.le for m in info.metadata if isinstance(m, annotated_types.Le)]
    return Described(
        name,
        "choice" if choices else "integer" if kind is int else "number",
        extra["section"],
        extra["unit"],
        info.description or "",
        requirement(info),
        float(lows[0]) if lows else None,
        float(highs[0]) if highs else None,
        choices,
    )


def _is_low(meta: Any) -> bool:
    return isinstance(meta, annotated_types.Ge | annotated_types.Gt)


def _adapter(name: str) -> TypeAdapter[Any]:
    info = Settings.model_fields[name]
    limited: Any = Annotated[info.annotation, info, *info.metadata]
    return TypeAdapter(limited)


_ADAPTERS: Final = {name: _adapter(name) for name in DYNAMIC}


def parse(name: str, value: Any) -> Any:
    """`value`, also as text, in the type of the setting; raises DynamicError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise DynamicError(f"must be {describe(name).requirement}")
    try:
        parsed = _ADAPTERS[name].validate_python(value)
    except ValidationError as error:
        raise DynamicError(f"must be {describe(name).requirement}") from error
    if isinstance(parsed, int) and parsed > WHOLE_MOST:
        raise DynamicError(f"must be {describe(name).requirement}, and {WHOLE_MOST} at most")
    return parsed


def effective(settings: Settings, changed: Mapping[str, Any]) -> tuple[Settings, dict[str, str]]:
    """(settings in force, what is wrong with values that were left out, by name).

    Values that contradict each other are all left out.
    """
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, value in changed.items():
        if name not in DYNAMIC:
            faults[name] = "is no dynamic setting"
            continue
        try:
            values[name] = parse(name, value)
        except DynamicError as error:
            faults[name] = f"{str(value)[:80]}: {error}"
    made = settings.model_copy(update=values)
    for fault in order_faults(made):
        larger, smaller = fault
        for name in (larger, smaller):
            if values.pop(name, None) is not None:
                faults[name] = f"{larger} must not be less than {smaller}"
    return settings.model_copy(update=values), faults


def checked(settings: Settings, name: str, value: Any, changed: Mapping[str, Any]) -> Any:
    """`value` for `name` in its type, if it goes with what was `changed` otherwise; raises DynamicError."""
    try:
        parsed = parse(name, value)
    except DynamicError as error:
        raise DynamicError(f"{str(value)[:80]!r}: {error}") from error
    _, faults = effective(settings, {**changed, name: parsed})
    if name in faults:
        raise DynamicError(f"{parsed!r}: {faults[name]}")
    return parsed


def check_default(settings: Settings, name: str, changed: Mapping[str, Any]) -> None:
    """Raise DynamicError if something that was `changed` would not be in force any more with `name` at its default."""
    _, left_out_now = effective(settings, changed)
    _, faults = effective(settings, {other: value for other, value in changed.items() if other != name})
    for other, fault in faults.items():
        if other not in left_out_now:
            raise DynamicError(
                f"its default {getattr(settings, name)} does not go with {other}={changed[other]}: {fault}; "
                f"change {other} first"
            )


def as_number(name: str, settings: Settings) -> float:
    """The value of a dynamic setting for a metric; a choice is its place in the list of them, from 0."""
    value = getattr(settings, name)
    choices = describe(name).choices
    return float(choices.index(value)) if choices else float(value)
