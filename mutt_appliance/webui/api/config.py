"""/config: settings that can be changed while MUTT runs."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Literal

from pydantic import Field

from mutt_appliance.config.dynamic import (
    DYNAMIC,
    DynamicError,
    check_default,
    checked,
)
from mutt_appliance.queueing.dynamic import NO_VALUE, Stored, change_noted, documents, values_of
from mutt_appliance.store.editing import NotFoundError, VersionError
from mutt_appliance.store.history import SETTING, changes, note_setting, one_change
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Name, Strict
from mutt_appliance.webui.api.history import LARGEST_ID, History, PageOfHistory
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.problems import FieldFault, Problem, invalid

TAG = "Configuration"
Value = int | float | str


class SettingPath(Strict):
    """A setting in the address."""

    key: Name = Field(description="Its name in lower case, such as moog_rate_limit")


class ChangePath(Strict):
    """An entry of the history in the address."""

    id: int = Field(ge=1, le=LARGEST_ID)


class SettingIn(Strict):
    """A new value."""

    value: Value


class Setting(Strict):
    """A dynamic setting."""

    name: str
    value: Value = Field(description="What is in force")
    default: Value = Field(description="What the environment says")
    changed: bool
    left_out: str | None = Field(description="Why what it was changed to is not in force; null if it is")
    kind: Literal["integer", "number", "choice"]
    section: str
    unit: str
    description: str
    requirement: str = Field(description="What a value must be, in words")
    minimum: float | None
    maximum: float | None
    choices: list[str]
    version: int = Field(description="0 until it is changed for the first time")


class SettingList(Strict):
    """Dynamic settings; not `enabled`: DYNAMIC_CONFIG_ENABLED=false, the defaults are in force."""

    enabled: bool
    items: list[Setting]


class ConfigHistoryQuery(PageOfHistory):
    """Whose history."""

    key: Name | None = None


@operation("GET", "/config", tag=TAG, role=Role.VIEWER, answer=SettingList)
async def list_settings(call: Call) -> Reply:
    """List dynamic settings."""
    stored = await call.stores.stored_settings()
    return Reply(
        {
            "enabled": call.stores.settings.dynamic_config_enabled,
            "items": documents(call.stores.settings, stored, DYNAMIC),
        }
    )


@operation("GET", "/config/history", tag=TAG, role=Role.VIEWER, query=ConfigHistoryQuery, answer=History)
async def list_config_history(call: Call) -> Reply:
    """List changes of dynamic settings, the newest first."""
    query: ConfigHistoryQuery = call.query
    found = await call.stores.run(changes, SETTING, query.key, query.before, query.limit)
    return Reply({"items": [asdict(each) for each in found]})


@operation(
    "POST",
    "/config/history/{id}/revert",
    tag=TAG,
    role=Role.ADMIN,
    changes="config",
    path_model=ChangePath,
    answer=Setting,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def revert_setting(call: Call) -> Reply:
    """Put a setting back to what it was before a change."""
    entry = await call.stores.run(one_change, call.path.id)
    if entry.entity != SETTING:
        raise NotFoundError(f"change {entry.id} is none of a setting")
    before = (entry.before or {}).get("value", NO_VALUE)
    return await _store(call, entry.entity_id, before, "revert")


@operation(
    "GET",
    "/config/{key}",
    tag=TAG,
    role=Role.VIEWER,
    path_model=SettingPath,
    answer=Setting,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def get_setting(call: Call) -> Reply:
    """Get one setting."""
    name = _known(call.path.key)
    stored = await call.stores.stored_settings()
    (document,) = documents(call.stores.settings, stored, [name])
    return Reply(document, version=document["version"])


@operation(
    "PUT",
    "/config/{key}",
    tag=TAG,
    role=Role.ADMIN,
    changes="config",
    path_model=SettingPath,
    body=SettingIn,
    answer=Setting,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    versioned=True,
)
async def set_setting(call: Call) -> Reply:
    """Change a setting.

    Every process has the new value within a second.
    """
    return await _store(call, _known(call.path.key), call.body.value, "update")


@operation(
    "DELETE",
    "/config/{key}",
    tag=TAG,
    role=Role.ADMIN,
    changes="config",
    path_model=SettingPath,
    answer=Setting,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    versioned=True,
)
async def reset_setting(call: Call) -> Reply:
    """Put a setting back to its default."""
    return await _store(call, _known(call.path.key), NO_VALUE, "reset")


OPERATIONS = (
    list_settings,
    list_config_history,
    revert_setting,
    get_setting,
    set_setting,
    reset_setting,
)


def _known(key: str) -> str:
    name = key.lower()
    if name not in DYNAMIC:
        raise NotFoundError(f"{key[:80]}: is no dynamic setting: GET /config lists them")
    return name


async def _store(call: Call, name: str, value: Any, action: str) -> Reply:
    """Store it in Redis, then note it; what cannot be noted is taken back."""
    stores = call.stores
    if not stores.settings.dynamic_config_enabled:
        raise Problem(
            HTTPStatus.CONFLICT, "DYNAMIC_CONFIG_ENABLED=false: change the environment and restart MUTT"
        )
    stored = await stores.stored_settings()
    try:
        if value is NO_VALUE:
            check_default(stores.settings, name, values_of(stored))
        else:
            value = checked(stores.settings, name, value, values_of(stored))
    except DynamicError as error:
        raise (
            Problem(HTTPStatus.CONFLICT, f"{name}: {error}") if value is NO_VALUE else _wrong(str(error))
        ) from error

    async def noted(before: Stored, after: Stored) -> None:
        await stores.run(note_setting, call.person.name, action, name, before.document, after.document)

    answer = await change_noted(stores.redis, stores.keys, name, value, call.if_version, noted)
    if answer is None:
        raise VersionError((await stores.stored_settings()).get(name, Stored()).version)
    (document,) = documents(stores.settings, {**stored, name: answer[1]}, [name])
    return Reply(document, version=document["version"])


def _wrong(message: str) -> Problem:
    return invalid([FieldFault(field="body.value", message=message)])
