"""Settings that can be changed while MUTT runs."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from aiohttp import web

from mutt_appliance.config.declaring import SECTIONS, variable_name
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.config import (
    get_setting,
    list_config_history,
    list_settings,
    reset_setting,
    revert_setting,
    set_setting,
)
from mutt_appliance.webui.pages.visit import Visit, fields_of, page
from mutt_appliance.webui.problems import Problem

HOME = "/config"
HISTORY_ROWS = 50


@page("GET", HOME)
async def settings(visit: Visit) -> web.Response:
    """All dynamic settings, by section."""
    listed = await visit.ask(list_settings)
    items = sorted(listed["items"], key=lambda each: list(SECTIONS).index(each["section"]))
    sections = [
        (SECTIONS[name], list(each)) for name, each in groupby(items, key=lambda each: each["section"])
    ]
    return visit.show("config.html", enabled=listed["enabled"], sections=sections, variable=variable_name)


@page("GET", "/config/history")
async def settings_history(visit: Visit) -> web.Response:
    """Changes of all settings."""
    query = {name: visit.query[name] for name in ("before",) if name in visit.query}
    found = await visit.ask(list_config_history, query={**query, "limit": str(HISTORY_ROWS)})
    return visit.show("config-history.html", changes=found["items"], full=len(found["items"]) == HISTORY_ROWS)


@page("GET", "/config/history/{id}/revert", Role.ADMIN)
async def ask_revert(visit: Visit) -> web.Response:
    """Ask before a setting is put back."""
    return visit.confirm(
        "Put the setting back to what it was before this change?", button="Put back", back="/config/history"
    )


@page("POST", "/config/history/{id}/revert", Role.ADMIN)
async def revert(visit: Visit) -> web.Response:
    """Put a setting back."""
    answer = await visit.ask(revert_setting, path={"id": visit.path["id"]})
    return await visit.go(HOME, f"{variable_name(answer['name'])} is {answer['value']} again.")


@page("GET", "/config/{key}")
async def setting(visit: Visit) -> web.Response:
    """One setting, to be looked at and changed."""
    return await _show(visit)


@page("POST", "/config/{key}", Role.ADMIN)
async def change_setting(visit: Visit) -> web.Response:
    """Change it."""
    body = fields_of(visit.form, empty_is_null=False)
    path, version = {"key": visit.path["key"]}, visit.form.get("version")
    try:
        if body.pop("default", None):
            answer = await visit.ask(reset_setting, path=path, version=version)
        else:
            answer = await visit.ask(set_setting, path=path, body=body, version=version)
    except Problem as problem:
        return await _show(visit, problem, body.get("value"))
    return await visit.go(
        HOME, f"{variable_name(answer['name'])} is {answer['value']} now, in every process within a second."
    )


PAGES = (settings, settings_history, ask_revert, revert, setting, change_setting)


async def _show(visit: Visit, problem: Problem | None = None, typed: str | None = None) -> web.Response:
    key = visit.path["key"]
    one = await visit.ask(get_setting, path={"key": key})
    found = await visit.ask(list_config_history, query={"key": one["name"], "limit": "20"})
    status: dict[str, Any] = {} if problem is None else {"status": problem.status}
    return visit.show(
        "config-setting.html",
        one=one,
        variable=variable_name(one["name"]),
        typed=one["value"] if typed is None else typed,
        problem=problem,
        changes=found["items"],
        enabled=visit.stores.settings.dynamic_config_enabled,
        **status,
    )
