"""`mutt-ctl audit`: the audit log as text, its months, and the files that they went into."""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, get_args

import click

from mutt_appliance.cli.ctl_stores import configured, database_connection, env_file_option
from mutt_appliance.cli.moments import Moment
from mutt_appliance.config import Settings
from mutt_appliance.store.archive_files import ArchiveError, check_file, manifest_path, read_manifest
from mutt_appliance.store.audit_export import ImportRefusedError, TextForm, export, import_file
from mutt_appliance.store.audit_pages import AuditFilter
from mutt_appliance.store.retention import Archived, Part, archives, leaves_on, parts
from mutt_appliance.telemetry.disks import Space, kept_folders, space_of
from mutt_appliance.whole_files import whole_file

PROGRESS_SECS = 5.0
GIB, MIB = 1 << 30, 1 << 20


@click.group()
def command() -> None:
    """Export the audit log, and look after its months."""


@command.command("export", short_help="Write rows of the audit log, with the event as it was received.")
@click.option("--since", type=Moment(), help="From this time on (ISO 8601; UTC without a zone).")
@click.option("--until", type=Moment(), help="Up to this time, not included.")
@click.option("--hostname", help="Only of this host.")
@click.option("--rule-id", type=click.IntRange(1, 2**31 - 1), help="Only what this rule handled.")
@click.option("--format", "form", type=click.Choice(get_args(TextForm)), default="ndjson", show_default=True)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=Path("-"),
    show_default=True,
    help="File, compressed if its name ends in .gz; - is standard output.",
)
@env_file_option
@click.pass_context
def export_rows(
    context: click.Context,
    since: datetime | None,
    until: datetime | None,
    hostname: str | None,
    rule_id: int | None,
    form: TextForm,
    output: Path,
    env_file: Path | None,
) -> None:
    """Write rows of the audit log, the oldest first, with the event as it was received.

    A file gets its name when it is complete. A reader that closes the pipe early, such as head, is no error.
    """
    settings, secrets = configured(context, env_file)
    wanted = AuditFilter(hostname=hostname, rule_id=rule_id, since=since, until=until)
    with database_connection(settings, secrets, "audit export") as conn, _target(output) as stream:
        count = _written(export(conn, wanted, form), stream)
    click.echo(f"{count} rows written{'' if output == Path('-') else f' to {output}'}", err=True)


@contextmanager
def _target(output: Path) -> Iterator[IO[bytes]]:
    try:
        if output == Path("-"):
            try:
                yield sys.stdout.buffer
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                # What is left in the buffer must not be tried again when Python ends.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(0)
        else:
            with whole_file(output) as file:
                if output.suffix == ".gz":
                    with gzip.GzipFile(filename="", mode="wb", fileobj=file) as packed:
                        yield packed  # type: ignore[misc]
                else:
                    yield file
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written: {error.strerror or error}") from error


def _written(chunks: Iterable[tuple[int, bytes]], stream: IO[bytes]) -> int:
    count, told = 0, time.monotonic()
    for rows, text in chunks:
        stream.write(text)
        count += rows
        if sys.stderr.isatty() and time.monotonic() - told > PROGRESS_SECS:
            told = time.monotonic()
            click.echo(f"{count} rows …", err=True)
    return count


@command.command(short_help="Show the months of the audit log, and when each leaves.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@env_file_option
@click.pass_context
def status(context: click.Context, as_json: bool, env_file: Path | None) -> None:
    """Show the months of the audit log, when each leaves, the files of those that left, and the room there is."""
    settings, secrets = configured(context, env_file)
    with database_connection(settings, secrets, "audit status") as conn:
        here, gone = parts(conn), archives(conn)
    today = datetime.now(UTC).date()
    folders = {folder: _space(folder) for folder in kept_folders(settings).values()}
    if as_json:
        click.echo(json.dumps(_document(settings, today, here, gone, folders), indent=2, default=str))
        return
    days = settings.audit_retention_days
    fate = "dropped" if settings.audit_archive_dir is None else f"archived in {settings.audit_archive_dir}"
    click.echo(
        f"months are kept for {days} days after their end, then {fate}" if days else "all months are kept"
    )
    click.echo(f"{'PART':<32} {'ROWS (EST.)':>12} {'SIZE':>10}  LEAVES")
    for part in here:
        click.echo(
            f"{part.name:<32} {part.rows:>12} {_size(part.size_bytes):>10}  {_leaves(part, settings, today)}"
        )
    if gone:
        click.echo(f"\n{'ARCHIVED':<8} {'ROWS':>12} {'SIZE':>10}  FILE")
        for each in gone:
            where = f"{each.host}:{each.file}"
            click.echo(f"{each.month:%Y-%m}  {each.rows:>12} {_size(each.size_bytes):>10}  {where}")
    for folder, space in folders.items():
        room = (
            "not known" if space is None else f"{_size(space.free_bytes)} ({space.free_percent:.0f} %) free"
        )
        click.echo(f"\n{folder}: {room}", nl=False)
    click.echo()


def _leaves(part: Part, settings: Settings, today: date) -> str:
    if not part.attached:
        return "on its way out"
    day = leaves_on(part.name, settings.audit_retention_days)
    if day is None:
        return "never"
    return f"{day}" if day > today else f"now: it was due on {day}, see the log of an alerter"


def _space(folder: Path) -> Space | None:
    try:
        return space_of(folder)
    except OSError:
        return None


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.1f} MiB"


def _document(
    settings: Settings,
    today: date,
    here: list[Part],
    gone: list[Archived],
    folders: dict[Path, Space | None],
) -> dict[str, Any]:
    days = settings.audit_retention_days
    months = [{**asdict(part), "leaves_on": leaves_on(part.name, days)} for part in here]
    return {
        "today": today,
        "retention_days": days,
        "archive_dir": settings.audit_archive_dir,
        "parts": months,
        "archives": [asdict(each) for each in gone],
        "disks": [
            {"folder": folder, **(asdict(space) if space else {"size_bytes": None, "free_bytes": None})}
            for folder, space in folders.items()
        ],
    }


@command.command(short_help="Compare archived months with their manifests.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def verify(files: tuple[Path, ...]) -> None:
    """Read archived months and compare each with the manifest beside it.

    Exit code 1: one of them is not what was written.
    """
    bad = 0
    for file in files:
        try:
            manifest = read_manifest(manifest_path(file))
            check_file(file, manifest)
        except ArchiveError as error:
            bad += 1
            click.echo(f"error: {error}", err=True)
        else:
            first, last = manifest.first_received_at, manifest.last_received_at
            click.echo(f"{file}: {manifest.rows} rows, {first} to {last}: as written")
    sys.exit(1 if bad else 0)


@command.command("import", short_help="Put archived months into a table of the database.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--table", default="audit_imported", show_default=True, help="Made if it is not there.")
@env_file_option
@click.pass_context
def import_rows(context: click.Context, files: tuple[Path, ...], table: str, env_file: Path | None) -> None:
    """Put archived months into a table of the database, to be asked with SQL; rows that are there stay.

    Not into the audit log itself: there a month past retention would leave again within MAINTENANCE_INTERVAL.
    """
    settings, secrets = configured(context, env_file)
    with database_connection(settings, secrets, "audit import") as conn:
        for file in files:
            try:
                done = import_file(conn, file, table)
            except (ArchiveError, ImportRefusedError) as error:
                raise click.ClickException(str(error)) from error
            if not done.checked:
                click.echo(f"warning: {file}: there is no manifest beside it to compare it with", err=True)
            click.echo(f"{file}: {done.rows} rows, {done.added} new in {table}")
