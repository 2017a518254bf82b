"""/dev-hosts: hosts whose events are handled as `dev`."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from pydantic import Field

from mutt_appliance.store.dev_hosts import add_dev_host, all_dev_hosts, remove_dev_host
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import HostPath, Name, Strict, Text, Time
from mutt_appliance.webui.operations import Call, Reply, operation

TAG = "Development hosts"


class DevHostIn(Strict):
    """A development host."""

    hostname: Name
    note: Text | None = Field(None, description="Why, or until when")


class DevHost(DevHostIn):
    """A development host as it is stored."""

    created_at: Time


class DevHostList(Strict):
    """Development hosts, by name."""

    total: int
    items: list[DevHost]


@operation("GET", "/dev-hosts", tag=TAG, role=Role.VIEWER, answer=DevHostList)
async def list_dev_hosts(call: Call) -> Reply:
    """List dev hosts."""
    hosts = await call.stores.run(all_dev_hosts)
    return Reply({"total": len(hosts), "items": [asdict(host) for host in hosts]})


@operation(
    "POST",
    "/dev-hosts",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    body=DevHostIn,
    answer=DevHost,
    status=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
)
async def add_one_dev_host(call: Call) -> Reply:
    """Add a dev host."""
    body: DevHostIn = call.body
    host = await call.stores.run(add_dev_host, body.hostname, body.note, call.person.name)
    return Reply(asdict(host), HTTPStatus.CREATED)


@operation(
    "DELETE",
    "/dev-hosts/{hostname}",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    path_model=HostPath,
    status=HTTPStatus.NO_CONTENT,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def delete_dev_host(call: Call) -> Reply:
    """Remove a dev host."""
    await call.stores.run(remove_dev_host, call.path.hostname, call.person.name)
    return Reply(status=HTTPStatus.NO_CONTENT)


OPERATIONS = (list_dev_hosts, add_one_dev_host, delete_dev_host)
