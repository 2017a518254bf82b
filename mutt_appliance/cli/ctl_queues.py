"""`mutt-ctl queues`: everything that waits, into a file and out of it, to move to another Redis."""

from __future__ import annotations

import gzip
import socket
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from mutt_appliance.cli.ctl_stores import all_shards, configured, env_file_option
from mutt_appliance.queueing.dump_files import (
    Counts,
    DumpError,
    Head,
    Item,
    read_head,
    read_items,
    write_dump,
)
from mutt_appliance.queueing.dump_shards import depths_of, items_of, load_into, workers_of
from mutt_appliance.whole_files import whole_file


@click.group()
def command() -> None:
    """Move what waits in the queues to another host."""


@command.command(short_help="Write all that waits to a file, and leave it there.")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option(
    "--force", is_flag=True, help="Although workers are at work: what they move meanwhile may be twice in it."
)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@env_file_option
@click.pass_context
def dump(context: click.Context, file: Path, force: bool, overwrite: bool, env_file: Path | None) -> None:
    """Write events, alerts, retries and dead letters to FILE, and leave them where they are.

    Stop what moves them first: mutt-ctl stop ingestor alerter forwarder. What workers that died still held is in
    it, too, as part of the queue it was taken from.
    """
    settings, secrets = configured(context, env_file)
    if file.exists() and not overwrite:
        raise click.ClickException(f"{file}: is there already: choose another name, or --overwrite")
    with _errors_of(file), all_shards(settings, secrets, "queues") as shards:
        alive = workers_of(shards)
        if alive and not force:
            raise DumpError(
                f"workers are at work ({', '.join(alive)}): mutt-ctl stop ingestor alerter forwarder, or wait for the "
                f"lease of one that died ({settings.alerter_janitor_timeout:g} s); --force dumps all the same"
            )
        before = depths_of(shards)
        head = Head(str(uuid.uuid4()), datetime.now(UTC).isoformat(timespec="seconds"), socket.gethostname())
        with whole_file(file) as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw) as stream:
            counts = write_dump(stream, head, items_of(shards))  # type: ignore[arg-type]
            if not force and not (before == counts == depths_of(shards)):
                raise DumpError(
                    "the queues changed meanwhile: stop the ingestor as well (mutt-ctl stop ingestor)"
                )
    _show(counts)
    click.echo(f"written to {file}, {file.stat().st_size} bytes")


@command.command("load", short_help="Put what a file holds into the queues.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--again", is_flag=True, help="Although this dump was loaded here before.")
@env_file_option
@click.pass_context
def load_file(context: click.Context, file: Path, again: bool, env_file: Path | None) -> None:
    """Put what FILE holds into the queues, all of it or nothing.

    It is consumed before what is there already; with another number of shards each host's items go to its shard of
    now. MUTT may run meanwhile. The caps of the queues are not looked at.
    """
    settings, secrets = configured(context, env_file)

    def read() -> Iterator[Item]:
        with gzip.open(file) as stream:
            yield from read_items(stream)

    with _errors_of(file), all_shards(settings, secrets, "queues") as shards:
        # All of it is looked at before the first item is sent.
        for _ in read():
            pass
        with gzip.open(file) as stream:
            head = read_head(stream)
        ours = [shard for shard in shards if shard.number < settings.redis_shards]
        counts = load_into(ours, settings.redis_shards, head.id, read, again=again)
    _show(counts)
    click.echo(f"loaded from {file}, of {head.made_at} on {head.host}")


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    """Show what is wrong with a file as a message that names it."""
    try:
        yield
    except (DumpError, EOFError, zlib.error) as error:
        raise click.ClickException(f"{file}: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}") from error


def _show(counts: Counts) -> None:
    for place, count in counts.by_place.items():
        click.echo(f"{count:>9} {place}")
    click.echo(f"{counts.total:>9} in all")
