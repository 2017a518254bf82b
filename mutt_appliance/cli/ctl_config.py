"""`mutt-ctl config`: settings that can be changed while MUTT runs.

It deals with the stores directly, so that it works while the web UI does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import Any

import click

from mutt_appliance.cli.ctl_shards import AsyncShards, on_shards, operator
from mutt_appliance.cli.ctl_stores import configured, env_file_option
from mutt_appliance.cli.database import database_of
from mutt_appliance.config import Settings
from mutt_appliance.config.dynamic import (
    DYNAMIC,
    DynamicError,
    check_default,
    checked,
)
from mutt_appliance.queueing.changes import tell
from mutt_appliance.queueing.dynamic import NO_VALUE, Stored, all_stored, change_noted, documents, values_of
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.editing import NotFoundError
from mutt_appliance.store.history import SETTING, changes, note_setting, one_change

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


class SettingName(click.ParamType[str, Any]):
    """A dynamic setting, in capitals or not."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Its name in lower case."""
        if str(value).lower() not in DYNAMIC:
            self.fail(f"{value}: is no dynamic setting: mutt-ctl config get lists them")
        return str(value).lower()


@click.group()
def command() -> None:
    """Show and change settings while MUTT runs.

    A change is in force in every process of every appliance on the same stores within a second, and stays over
    restarts; config_audit_log keeps who made it.
    """


@command.command(short_help="Print the values in force.")
@click.argument("setting", type=SettingName(), required=False)
@json_option
@env_file_option
@click.pass_context
def get(context: click.Context, setting: str | None, as_json: bool, env_file: Path | None) -> None:
    """Print the value of SETTING that is in force, or all settings with what they mean."""
    settings, secrets = configured(context, env_file)
    stored = on_shards(settings, secrets, "config", _stored)
    names = [setting] if setting else list(DYNAMIC)
    found = documents(settings, stored, names)
    if as_json:
        click.echo(json.dumps(found[0] if setting else found, indent=2))
    elif setting:
        click.echo(found[0]["value"])
    else:
        if not settings.dynamic_config_enabled:
            click.echo("DYNAMIC_CONFIG_ENABLED=false: the values of the environment are in force", err=True)
        for each in found:
            mark = f"  (default {each['default']})" if each["changed"] else ""
            if each["left_out"]:
                mark = f"  (what it was changed to is left out: {each['left_out']})"
            click.echo(f"{each['name']:<34} {each['value']}{mark}")
            click.echo(f"{'':4}{each['description']}: {each['requirement']}")


@command.command("set")
@click.argument("setting", type=SettingName())
@click.argument("value")
@click.option(
    "--if-version", type=click.IntRange(0), help="Only if nobody has changed it since this version."
)
@json_option
@env_file_option
@click.pass_context
def set_value(
    context: click.Context,
    setting: str,
    value: str,
    if_version: int | None,
    as_json: bool,
    env_file: Path | None,
) -> None:
    """Give SETTING a VALUE."""
    settings, secrets = configured(context, env_file)
    _change(settings, secrets, setting, value, "update", if_version, as_json=as_json)


@command.command(short_help="Put a setting back to its default.")
@click.argument("setting", type=SettingName())
@json_option
@env_file_option
@click.pass_context
def reset(context: click.Context, setting: str, as_json: bool, env_file: Path | None) -> None:
    """Put SETTING back to its default, the value of the environment."""
    settings, secrets = configured(context, env_file)
    _change(settings, secrets, setting, NO_VALUE, "reset", None, as_json=as_json)


@command.command(short_help="Print who changed what, the newest first.")
@click.argument("setting", type=SettingName(), required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Changes shown.")
@json_option
@env_file_option
@click.pass_context
def history(
    context: click.Context, setting: str | None, limit: int, as_json: bool, env_file: Path | None
) -> None:
    """Print who changed SETTING, or any, the newest change first."""
    settings, secrets = configured(context, env_file)
    with database_of(settings, secrets) as database, database.connection() as conn:
        found = changes(conn, SETTING, setting, None, limit)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2, default=_text))
        return
    for each in found:
        before, after = (_shown(state) for state in (each.before, each.after))
        at = each.changed_at.astimezone(UTC)
        click.echo(
            f"{each.id:>6}  {at:%Y-%m-%d %H:%M:%SZ}  {each.action:<6} {each.entity_id} {before} -> {after}"
            f"  by {each.changed_by}"
        )


@command.command(short_help="Put a setting back to what it was before a change.")
@click.argument("change_id", type=click.IntRange(1), metavar="CHANGE")
@json_option
@env_file_option
@click.pass_context
def revert(context: click.Context, change_id: int, as_json: bool, env_file: Path | None) -> None:
    """Put a setting back to what it was before CHANGE, the number that history shows."""
    settings, secrets = configured(context, env_file)
    with database_of(settings, secrets) as database, database.connection() as conn:
        try:
            entry = one_change(conn, change_id)
        except NotFoundError as error:
            raise click.ClickException(str(error)) from error
    if entry.entity != SETTING:
        raise click.ClickException(f"change {change_id} is none of a setting")
    before = (entry.before or {}).get("value", NO_VALUE)
    _change(settings, secrets, entry.entity_id, before, "revert", None, as_json=as_json)


def _change(
    settings: Settings,
    secrets: Secrets,
    name: str,
    value: Any,
    action: str,
    if_version: int | None,
    *,
    as_json: bool,
) -> None:
    if not settings.dynamic_config_enabled:
        raise click.ClickException("DYNAMIC_CONFIG_ENABLED=false: change the environment and restart MUTT")

    async def work(shards: AsyncShards) -> tuple[Stored, dict[str, Stored]]:
        home = shards.home
        stored = await _stored(shards)
        wanted = value
        try:
            if value is NO_VALUE:
                check_default(settings, name, values_of(stored))
            else:
                wanted = checked(settings, name, value, values_of(stored))
        except DynamicError as error:
            raise click.ClickException(f"{name}: {error}") from error

        async def note(before: Stored, after: Stored) -> None:
            with database_of(settings, secrets) as database, database.connection() as conn:
                note_setting(conn, operator(), action, name, before.document, after.document)

        answer = await change_noted(home.client, home.keys, name, wanted, if_version, note)
        if answer is None:
            now = (await _stored(shards)).get(name, Stored())
            raise click.ClickException(
                f"{name}: is at version {now.version}: somebody changed it; look, and try again"
            )
        await tell(home.client, home.keys, "config")
        before, after = answer
        return before, {**stored, name: after}

    before, now = on_shards(settings, secrets, "config", work)
    after, default = now[name], getattr(settings, name)
    old, new = (each.value if each.changed else default for each in (before, after))
    if as_json:
        click.echo(json.dumps(documents(settings, now, [name])[0], indent=2))
    else:
        click.echo(f"{name}: {old} -> {new}{'' if after.changed else ' (default)'}")


async def _stored(shards: AsyncShards) -> dict[str, Stored]:
    answer: Any = await shards.home.client.hgetall(shards.home.keys.config)
    return all_stored(answer)


def _shown(state: Mapping[str, Any] | None) -> str:
    return str((state or {}).get("value", "default"))


def _text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
