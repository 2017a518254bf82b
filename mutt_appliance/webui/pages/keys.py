"""Named keys: who may look and who may change."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.keys import delete_key, list_keys, make_key
from mutt_appliance.webui.pages.visit import Visit, fields_of, page
from mutt_appliance.webui.problems import Problem

HOME = "/keys"


@page("GET", HOME, Role.ADMIN)
async def keys(visit: Visit) -> web.Response:
    """The list."""
    return await _show(visit)


@page("POST", HOME, Role.ADMIN)
async def make(visit: Visit) -> web.Response:
    """Make one, and show it this once."""
    fields = fields_of(visit.form)
    try:
        made = await visit.ask(make_key, body=fields)
    except Problem as problem:
        return await _show(visit, problem, fields)
    return visit.show("key.html", made=made)


@page("GET", "/keys/delete", Role.ADMIN)
async def ask_delete(visit: Visit) -> web.Response:
    """Ask before a key is taken away."""
    name = visit.query.get("name", "")
    detail = "Whoever uses it is refused within two seconds, and its sessions end."
    return visit.confirm(
        f"Take the key {name} away?", detail=detail, button="Take away", back=HOME, name=name
    )


@page("POST", "/keys/delete", Role.ADMIN)
async def delete(visit: Visit) -> web.Response:
    """Take it away."""
    name = visit.form.get("name", "")
    await visit.ask(delete_key, path={"name": name})
    return await visit.go(HOME, f"The key {name} is taken away.")


PAGES = (keys, make, ask_delete, delete)


async def _show(
    visit: Visit, problem: Problem | None = None, typed: dict[str, Any] | None = None
) -> web.Response:
    listed = await visit.ask(list_keys)
    status: dict[str, Any] = {} if problem is None else {"status": problem.status}
    return visit.show("keys.html", items=listed["items"], problem=problem, typed=typed or {}, **status)
