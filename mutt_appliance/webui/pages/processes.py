"""The processes of this appliance."""

from __future__ import annotations

from aiohttp import web

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.processes import list_processes, reload_processes, restart_process, scale_pool
from mutt_appliance.webui.pages.visit import Visit, fields_of, page
from mutt_appliance.webui.problems import Problem

SCALABLE = ("ingestor", "alerter", "forwarder")
HOME = "/processes"


@page("GET", HOME)
async def processes(visit: Visit) -> web.Response:
    """What the supervisor watches over."""
    return await _show(visit)


@page("GET", "/processes/{name}/restart", Role.ADMIN)
async def ask_restart(visit: Visit) -> web.Response:
    """Ask before a restart."""
    name = visit.path["name"]
    return visit.confirm(
        f"Restart {name}?",
        detail="It settles what it has in hand first; the others of its pool go on. A store that is restarted makes "
        "everything wait for it.",
        button="Restart",
        back=HOME,
    )


@page("POST", "/processes/{name}/restart", Role.ADMIN)
async def restart(visit: Visit) -> web.Response:
    """Restart one."""
    name = visit.path["name"]
    try:
        await visit.ask(restart_process, path={"name": name})
    except Problem as problem:
        return await _show(visit, problem)
    return await visit.go(HOME, f"{name} is being restarted.")


@page("POST", "/processes/scale", Role.ADMIN)
async def scale(visit: Visit) -> web.Response:
    """Set the number of processes of a pool."""
    fields = fields_of(visit.form)
    pool = fields.pop("pool", None) or ""
    try:
        answer = await visit.ask(scale_pool, path={"pool": pool}, body=fields)
    except Problem as problem:
        return await _show(visit, problem)
    name = f"{pool.upper()}_WORKERS"
    return await visit.go(
        HOME,
        f"{pool}: {answer['now']} processes (before: {answer['before']}) until the next start; {name} makes it last.",
    )


@page("POST", "/processes/reload", Role.ADMIN)
async def reload(visit: Visit) -> web.Response:
    """Have configuration, secrets and rules read again."""
    try:
        answer = await visit.ask(reload_processes)
    except Problem as problem:
        return await _show(visit, problem)
    return visit.show("reload.html", reload=answer)


PAGES = (processes, scale, reload, ask_restart, restart)


async def _show(visit: Visit, problem: Problem | None = None) -> web.Response:
    try:
        listed = await visit.ask(list_processes)
    except Problem as away:
        return visit.show("processes.html", status=away.status, problem=away, listed=None, scalable=SCALABLE)
    status = {} if problem is None else {"status": problem.status}
    return visit.show("processes.html", problem=problem, listed=listed, scalable=SCALABLE, **status)
