"""/keys: named keys beside WEBUI_API_KEY."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import Field

from mutt_appliance.store.api_keys import add_key, all_keys, remove_key
from mutt_appliance.webui.access import ADMINISTRATOR, Role, key_digest, new_key
from mutt_appliance.webui.api.fields import Strict, Time
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.problems import FieldFault, invalid

TAG = "Keys"
KeyName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@ -]{0,62}$",
        description="A person or a script, as the history shows it",
    ),
]
RoleName = Literal["viewer", "operator", "admin"]


class KeyPath(Strict):
    """A key in the address."""

    name: KeyName


class KeyIn(Strict):
    """A new key."""

    name: KeyName
    role: RoleName


class Key(KeyIn):
    """A key; what it is was told once, when it was made."""

    created_at: Time
    created_by: str


class KeyList(Strict):
    """Named keys, by name."""

    total: int
    items: list[Key]


class NewKey(KeyIn):
    """A key that was made; `key` is shown this once and not stored."""

    key: str


@operation("GET", "/keys", tag=TAG, role=Role.ADMIN, answer=KeyList)
async def list_keys(call: Call) -> Reply:
    """List named keys."""
    keys = await call.stores.run(all_keys)
    items = [
        {"name": key.name, "role": key.role, "created_at": key.created_at, "created_by": key.created_by}
        for key in keys
    ]
    return Reply({"total": len(items), "items": items})


@operation(
    "POST",
    "/keys",
    tag=TAG,
    role=Role.ADMIN,
    body=KeyIn,
    answer=NewKey,
    status=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
)
async def make_key(call: Call) -> Reply:
    """Make a named key.

    The answer has the key; only its digest is stored.
    """
    body: KeyIn = call.body
    if body.name.lower() == ADMINISTRATOR:
        raise invalid(
            [FieldFault(field="body.name", message=f"{body.name!r}: is what WEBUI_API_KEY is called")]
        )
    key = new_key()
    await call.stores.run(add_key, body.name, body.role, key_digest(key), call.person.name)
    return Reply(
        {"name": body.name, "role": body.role, "key": key},
        HTTPStatus.CREATED,
        headers={"Cache-Control": "no-store"},
    )


@operation(
    "DELETE",
    "/keys/{name}",
    tag=TAG,
    role=Role.ADMIN,
    path_model=KeyPath,
    status=HTTPStatus.NO_CONTENT,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def delete_key(call: Call) -> Reply:
    """Delete a named key.

    It is refused within two seconds.
    """
    await call.stores.run(remove_key, call.path.name, call.person.name)
    return Reply(status=HTTPStatus.NO_CONTENT)


OPERATIONS = (list_keys, make_key, delete_key)
