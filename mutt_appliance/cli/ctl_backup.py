"""`mutt-ctl backup` and `mutt-ctl restore`: what people have set up, as one file, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mutt_appliance.backup.contents import BackupError
from mutt_appliance.backup.making import make_backup
from mutt_appliance.backup.plan import lines_of_settings, lines_of_table
from mutt_appliance.backup.restoring import Backup, Plan, open_backup, restore_backup
from mutt_appliance.cli.ctl_stores import configured, database_connection, env_file_option, redis_connection
from mutt_appliance.cli.database import person
from mutt_appliance.queueing.changes import announce
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.whole_files import whole_file

LINES_MOST = 40


@click.command(short_help="Write what people have set up to one file.")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option("--with-audit", is_flag=True, help="The audit log as well, which may be large.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@env_file_option
@click.pass_context
def backup(
    context: click.Context, file: Path, with_audit: bool, overwrite: bool, env_file: Path | None
) -> None:
    """Write rules, development hosts, teams, dynamic settings, API keys and the history of changes to FILE.

    It is a tar with gzip, of one moment, and has no secrets in it: keep mutt.env and the secrets file beside it.
    Queues are not in it: mutt-ctl queues dump.
    """
    settings, secrets = configured(context, env_file)
    if file.exists() and not overwrite:
        raise click.ClickException(f"{file}: is there already: choose another name, or --overwrite")
    try:
        with (
            database_connection(settings, secrets, "backup") as conn,
            redis_connection(settings, secrets, "backup") as client,
            _backup_errors(),
            whole_file(file) as stream,
        ):
            manifest = make_backup(
                conn, client, KeySpace(settings), stream, with_audit=with_audit, report=_progress
            )
    except OSError as error:
        raise click.ClickException(f"{file}: cannot be written: {error.strerror or error}") from error
    for member in manifest.members:
        if not member.name.startswith("audit/"):
            click.echo(f"{member.rows:>9} {member.name}")
    if with_audit:
        rows = sum(member.rows for member in manifest.members if member.name.startswith("audit/"))
        click.echo(f"{rows:>9} rows of the audit log")
    click.echo(f"written to {file}, {file.stat().st_size} bytes")


@click.command(short_help="Make rules, hosts, settings and keys those of a backup.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only tell what would be changed.")
@click.option("--replace", is_flag=True, help="Change and remove what is there and is not as in FILE.")
@env_file_option
@click.pass_context
def restore(context: click.Context, file: Path, dry_run: bool, replace: bool, env_file: Path | None) -> None:
    """Make rules, hosts, teams, dynamic settings and API keys those of FILE, all of them or nothing.

    Refuses an appliance that has any of them, unless --replace is given. History and audit log are added to. Running
    alerters have the rules at once.
    """
    settings, secrets = configured(context, env_file)
    keys = KeySpace(settings)
    with _backup_errors():
        found = open_backup(file)
    with (
        database_connection(settings, secrets, "restore") as conn,
        redis_connection(settings, secrets, "restore") as client,
        _backup_errors(),
    ):
        who = f"mutt-ctl restore ({person()})"
        plan = restore_backup(
            conn, client, keys, settings, found, who, replace=replace, dry_run=dry_run, report=_progress
        )
        told = True
        if not dry_run and not plan.blockers:
            try:
                announce(client, keys, "rules")
                announce(client, keys, "config")
            except RedisError:
                told = False
    _show(found, plan)
    if plan.blockers:
        click.echo(
            f"error: not restored, for {', '.join(plan.blockers)}: --replace makes them those of {file}",
            err=True,
        )
        sys.exit(1)
    if dry_run:
        click.echo("nothing was changed (--dry-run)")
        return
    click.echo("restored")
    if not told:
        click.echo("warning: nobody could be told: mutt-ctl reload makes alerters read the rules", err=True)
    if plan.settings.writes and not settings.dynamic_config_enabled:
        click.echo("warning: DYNAMIC_CONFIG_ENABLED=false: dynamic settings have no effect", err=True)


@contextmanager
def _backup_errors() -> Iterator[None]:
    """Show why a backup cannot be used as a message."""
    try:
        yield
    except BackupError as error:
        raise click.ClickException(str(error)) from error


def _progress(words: str) -> None:
    if sys.stderr.isatty():
        click.echo(words, err=True)


def _show(found: Backup, plan: Plan) -> None:
    manifest = found.manifest
    click.echo(f"{found.path}: of {manifest.made_at}, MUTT {manifest.mutt_version} on {manifest.host}")
    lines: list[str] = []
    for each in plan.tables:
        click.echo(
            f"{each.table.name}: {len(each.added)} added, {len(each.changed)} changed, "
            f"{len(each.removed)} removed, {each.unchanged} as they were"
        )
        if each.rows_here:
            lines += lines_of_table(each)
    click.echo(f"dynamic settings: {len(plan.settings.writes)} written")
    lines += lines_of_settings(plan.settings)
    if not plan.blockers:
        click.echo(
            f"history: {plan.history_added} entries added, {plan.history_kept} not (their numbers are taken)"
        )
    if plan.audit_rows:
        click.echo(f"audit log: {plan.audit_rows} rows in the backup, {plan.audit_added} added")
    for line in lines[:LINES_MOST]:
        click.echo(f"  {line}")
    if len(lines) > LINES_MOST:
        click.echo(f"  … and {len(lines) - LINES_MOST} more")
