"""/processes: what the supervisor watches over, and what it can be asked for."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812
from pydantic import Field

from mutt_appliance.control.client import ControlError, NoPrivilegeError, NotRunningError, do
from mutt_appliance.control.names import group_of
from mutt_appliance.store.history import note
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Name, Strict
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.problems import Problem
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.processes")
TAG = "Processes"
ENTITY = "process"
OWN_GROUP = "webui"
# The supervisor has limits of its own for a start and a stop.
RESTART_SECS = 900.0
RELOAD_SECS = 70.0
_under_way: set[asyncio.Task[None]] = set()


class ProcessPath(Strict):
    """A process in the address."""

    name: Name


class PoolPath(Strict):
    """A pool in the address."""

    pool: Name


class Process(Strict):
    """A process as the supervisor sees it."""

    name: str
    pool: str
    state: str = Field(
        description="As supervisord has them: STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, STOPPED"
    )
    serves: bool
    pid: int = Field(description="0 where it does not run")
    uptime_seconds: float
    restarts: int
    trouble: str = Field(description="What is wrong with it, empty if nothing")


class ProcessList(Strict):
    """The appliance and its processes."""

    version: str
    state: str
    status: str = Field(description="The whole in one line, as systemctl status shows it")
    uptime_seconds: float
    items: list[Process]


class Scaling(Strict):
    """How many processes a pool shall have until the next start."""

    count: int = Field(ge=1, le=64)


class Scaled(Strict):
    """A pool that was scaled."""

    pool: str
    before: int
    now: int


class ReloadAnswer(Strict):
    """What a process said."""

    name: str
    ok: bool
    rules: int
    rule_errors: int
    error: str
    faults: list[str] = Field(description="Rules that were left out, and why")
    told: str = Field(description="What a process without rules made of it")


class Reload(Strict):
    """What became of a reload."""

    ok: bool
    error: str
    changed_settings: list[str] = Field(description="In force only after a restart of MUTT")
    secrets_changed: bool
    processes: list[ReloadAnswer]


@operation("GET", "/processes", tag=TAG, role=Role.VIEWER, answer=ProcessList)
async def list_processes(call: Call) -> Reply:
    """List the processes of this appliance."""
    status = await _ask(call.stores, "mutt.status")
    return Reply(
        {
            "version": status["version"],
            "state": status["state"],
            "status": status["status"],
            "uptime_seconds": status["uptime_secs"],
            "items": [_process(process) for process in status["processes"]],
        }
    )


@operation(
    "POST",
    "/processes/{name}/restart",
    tag=TAG,
    role=Role.ADMIN,
    path_model=ProcessPath,
    answer=Process,
    status=HTTPStatus.ACCEPTED,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def restart_process(call: Call) -> Reply:
    """Restart a process.

    It settles what it has in hand first; the answer does not wait for that.
    """
    name, stores = call.path.name, call.stores
    status = await _ask(stores, "mutt.status")
    process = next((each for each in status["processes"] if each["name"] == name), None)
    if process is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"{name[:80]}: no such process: GET /processes lists them")
    if not process["pid"]:
        raise Problem(HTTPStatus.CONFLICT, f"{name}: is {process['state']} and has nothing to restart")
    await stores.run(_note, call.person.name, "restart", name, None)
    if group_of(name) == OWN_GROUP:
        # Nobody is left here to start it again; the supervisor does, as after any end.
        await _ask(stores, "supervisor.signalProcess", name, "TERM")
    else:
        task = asyncio.create_task(_restart(stores, name))
        _under_way.add(task)
        task.add_done_callback(_under_way.discard)
    return Reply(_process(process), HTTPStatus.ACCEPTED)


@operation(
    "PUT",
    "/processes/{pool}/scale",
    tag=TAG,
    role=Role.ADMIN,
    path_model=PoolPath,
    body=Scaling,
    answer=Scaled,
    problems=(HTTPStatus.CONFLICT,),
)
async def scale_pool(call: Call) -> Reply:
    """Set how many processes a pool has, until the next start.

    ALERTER_WORKERS, FORWARDER_WORKERS and INGESTOR_WORKERS make it last.
    """
    pool, count = call.path.pool, call.body.count
    answer = await _ask(call.stores, "mutt.scale", pool, count)
    before, now = int(answer["before"]), int(answer["now"])
    if before != now:
        await call.stores.run(_note, call.person.name, "scale", pool, {"before": before, "now": now})
    return Reply({"pool": pool, "before": before, "now": now})


@operation(
    "POST", "/processes/reload", tag=TAG, role=Role.ADMIN, answer=Reload, problems=(HTTPStatus.CONFLICT,)
)
async def reload_processes(call: Call) -> Reply:
    """Read configuration, secrets and rules again, and wait until every alerter has answered."""
    answer = await _ask(call.stores, "mutt.reload", timeout_secs=RELOAD_SECS)
    await call.stores.run(_note, call.person.name, "reload", "all", {"ok": bool(answer["ok"])})
    return Reply(
        {
            "ok": bool(answer["ok"]),
            "error": answer["error"] or "",
            "changed_settings": list(answer["changed_settings"]),
            "secrets_changed": bool(answer["secrets_changed"]),
            "processes": [
                {
                    "name": each["name"],
                    "ok": bool(each["ok"]),
                    "rules": each["rules"] or 0,
                    "rule_errors": each["rule_errors"] or 0,
                    "error": each["error"] or "",
                    "faults": list(each["faults"]),
                    "told": each["told"] or "",
                }
                for each in answer["processes"]
            ],
        }
    )


OPERATIONS = (list_processes, reload_processes, restart_process, scale_pool)


async def _ask(stores: Stores, method: str, *params: Any, timeout_secs: float = 15.0) -> Any:
    """Ask the supervisor; raises Problem 503 when it does not answer, 409 when it will not."""
    try:
        return await asyncio.to_thread(
            do, stores.settings.mutt_runtime_dir, method, *params, timeout_secs=timeout_secs
        )
    except (NotRunningError, NoPrivilegeError) as error:
        log.warning("the supervisor cannot be asked", error=str(error))
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), (), {"Retry-After": "5"}) from error
    except ControlError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error


async def _restart(stores: Stores, name: str) -> None:
    for method in ("supervisor.stopProcess", "supervisor.startProcess"):
        try:
            await asyncio.to_thread(
                do, stores.settings.mutt_runtime_dir, method, name, timeout_secs=RESTART_SECS
            )
        except ControlError as error:
            log.error("restart failed", process=name, method=method, error=str(error))


def _process(process: dict[str, Any]) -> dict[str, Any]:
    reason = process["reason"] if process["state"] in ("BACKOFF", "FATAL", "EXITED") else ""
    return {
        "name": process["name"],
        "pool": group_of(process["name"]),
        "state": process["state"],
        "serves": bool(process["serves"]),
        "pid": process["pid"],
        "uptime_seconds": float(process["uptime_secs"]),
        "restarts": process["restarts"],
        "trouble": process.get("trouble") or reason or "",
    }


def _note(conn: Connection, changed_by: str, action: str, name: str, after: dict[str, Any] | None) -> None:
    with conn.cursor() as cursor:
        note(cursor, changed_by, action, ENTITY, name, None, after)
