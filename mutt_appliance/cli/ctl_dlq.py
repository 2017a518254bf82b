"""`mutt-ctl dlq`: the dead letters: look, replay, discard, take along.

It deals with the stores directly, so that it works while the web UI does not.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from mutt_appliance.cli.ctl_config import json_option
from mutt_appliance.cli.ctl_shards import AsyncShards, on_shards, operator
from mutt_appliance.cli.ctl_stores import configured, env_file_option
from mutt_appliance.cli.database import database_of
from mutt_appliance.cli.moments import Moment
from mutt_appliance.config import Settings
from mutt_appliance.events.admission import Limits
from mutt_appliance.events.visible import visible
from mutt_appliance.queueing.dead_letters import (
    CHUNK,
    QUEUES,
    DeadLetters,
    Letter,
    LetterFilter,
    NotReplayableError,
    QueueName,
    Sweep,
    described,
    read_letter,
    replayed,
)
from mutt_appliance.queueing.letter_archive import most_of
from mutt_appliance.queueing.letter_files import (
    LetterFileError,
    read_letters,
    write_letter_file,
    write_letters,
)
from mutt_appliance.queueing.replays import RATE_LEAST, Replay
from mutt_appliance.queueing.shards import shard_of
from mutt_appliance.secrets import Secrets
from mutt_appliance.store.history import note_letters

F = TypeVar("F", bound=Callable[..., Any])
REASONS_OF = 10_000
"""Letters of each queue that `list` looks at for their reasons."""
queue_argument = click.argument("queue", type=click.Choice(QUEUES))


def filter_options(command: F) -> F:
    """--reason, --host, --text, --since, --until."""
    for option in (
        click.option("--until", type=Moment(), help="Failed before this time."),
        click.option(
            "--since", type=Moment(), help="Failed at this time or later; UTC where no zone is given."
        ),
        click.option("--text", help="Part of the event or alert, in any case."),
        click.option("--host", help="Host of the event or alert."),
        click.option("--reason", help="Part of the reason, in any case."),
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Look at dead letters, replay, discard or export them.

    QUEUE is ingest (refused events), alerter (events that could not be processed, shed alerts) or moog (alerts that
    Moogsoft did not take). Ends with 1 when something that was asked for could not be done.
    """


@command.command("list", short_help="Print the letters of a queue, or how many are in each.")
@click.argument("queue", type=click.Choice(QUEUES), required=False)
@filter_options
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Letters shown.")
@json_option
@env_file_option
@click.pass_context
def list_letters(
    context: click.Context,
    /,
    queue: QueueName | None,
    limit: int,
    as_json: bool,
    env_file: Path | None,
    **wanted: Any,
) -> None:
    """Print the letters of QUEUE, the newest first; without QUEUE how many are in each, and why."""
    settings, secrets = configured(context, env_file)
    if queue is None:
        if any(wanted.values()):
            raise click.UsageError("filters need a QUEUE")
        _summary(settings, secrets, as_json=as_json)
        return
    meant = _filter(**wanted)

    async def work(shards: AsyncShards) -> tuple[list[Letter], int, int]:
        letters = DeadLetters(shards, queue)
        depth = await letters.depth()
        shown: list[Letter] = []
        matching = 0
        async for letter in letters.newest_first(depth):
            if meant.takes(letter):
                matching += 1
                if len(shown) < limit:
                    shown.append(letter)
                elif meant.everything:
                    return shown, depth, depth
        return shown, matching, depth

    found, matching, depth = on_shards(settings, secrets, "dlq", work)
    if as_json:
        items = [described(queue, letter) for letter in found]
        click.echo(json.dumps({"depth": depth, "matching": matching, "items": items}, indent=2))
        return
    for letter in found:
        failed_at, host = _to_the_second(letter.failed_at), letter.hostname or "-"
        click.echo(visible(f"{letter.id[:12]}  {failed_at:<20}  {host:<20}  {letter.reason[:100]}"))
    click.echo(f"{len(found)} of {matching} shown, {depth} in the queue", err=True)


@command.command(short_help="Print all of a letter.")
@queue_argument
@click.argument("letter")
@json_option
@env_file_option
@click.pass_context
def show(context: click.Context, queue: QueueName, letter: str, as_json: bool, env_file: Path | None) -> None:
    """Print all of a LETTER, which is named by its id or the beginning of it."""
    settings, secrets = configured(context, env_file)
    (found,) = on_shards(settings, secrets, "dlq", lambda shards: _named(shards, queue, [letter]))
    document = described(queue, found)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    for name, value in document.items():
        shown = json.dumps(value, indent=2, ensure_ascii=False) if name == "payload" else value
        click.echo(visible(f"{name}: {'-' if shown is None else shown}"))


@command.command(short_help="Send letters on their way again, the oldest first.")
@queue_argument
@click.argument("letters", nargs=-1)
@filter_options
@click.option("--all", "everything", is_flag=True, help="All letters of the queue.")
@click.option(
    "--rate", type=click.FloatRange(RATE_LEAST), help="Letters a second. [default: as fast as it goes]"
)
@json_option
@env_file_option
@click.pass_context
def replay(
    context: click.Context,
    /,
    queue: QueueName,
    letters: tuple[str, ...],
    everything: bool,
    rate: float | None,
    as_json: bool,
    env_file: Path | None,
    **wanted: Any,
) -> None:
    """Send LETTERS, those that the filters mean, or all on their way again, the oldest first.

    Events are matched again, alerts go to Moogsoft at its rate limit. What cannot go on as it is stays, and the
    command ends with 1.
    """
    settings, secrets = configured(context, env_file)
    meant = _meant(letters, everything, wanted)
    sweeps: list[Sweep] = []

    async def work(shards: AsyncShards) -> tuple[int, int]:
        if letters:
            return await _replay_named(shards, queue, letters, Limits.of(settings))
        begun = await Replay.begin(shards.home, DeadLetters(shards, queue), meant, operator(), rate)
        if begun is None:
            raise click.ClickException(f"{queue}: a replay is under way: wait until it is done")
        sweeps.append(begun.sweep)
        await begun.run(Limits.of(settings), _show_progress)
        return begun.sweep.moved, begun.sweep.failed

    def note(moved: int, failed: int) -> None:
        what = {**_noted(letters, meant), "replayed": moved, "failed": failed}
        _note(settings, secrets, "replay", queue, what)

    try:
        moved, failed = on_shards(settings, secrets, "dlq", work)
    except BaseException:
        # Ctrl-C, or Redis failed: what went on its way until then is to be found in the history all the same.
        for sweep in sweeps:
            click.echo(f"ended early: {sweep.moved} replayed", err=True)
            note(sweep.moved, sweep.failed)
        raise
    note(moved, failed)
    if failed and not letters:
        # Of named letters the reason of each was told.
        click.echo(
            "what stays cannot go on as it is: correct it on the page Dead letters, or discard it", err=True
        )
    _conclude("replayed", moved, failed, as_json=as_json)


@command.command(short_help="Discard letters for good.")
@queue_argument
@click.argument("letters", nargs=-1)
@filter_options
@click.option("--all", "everything", is_flag=True, help="All letters of the queue.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@env_file_option
@click.pass_context
def discard(
    context: click.Context,
    /,
    queue: QueueName,
    letters: tuple[str, ...],
    everything: bool,
    yes: bool,
    as_json: bool,
    env_file: Path | None,
    **wanted: Any,
) -> None:
    """Discard LETTERS, those that the filters mean, or all. They cannot be brought back: export them first."""
    settings, secrets = configured(context, env_file)
    meant = _meant(letters, everything, wanted)
    sweeps: list[Sweep] = []

    async def count(shards: AsyncShards) -> int:
        if letters:
            return len(await _named(shards, queue, letters))
        every = DeadLetters(shards, queue)
        return len([1 async for letter in every.oldest_first() if meant.takes(letter)])

    async def work(shards: AsyncShards) -> int:
        every = DeadLetters(shards, queue)
        if letters:
            return sum([await every.discard(letter) for letter in await _named(shards, queue, letters)])
        sweep = await Sweep.over(every, meant)
        sweeps.append(sweep)
        while await sweep.discard_chunk():
            pass
        return sweep.moved

    def note(moved: int) -> None:
        _note(settings, secrets, "discard", queue, {**_noted(letters, meant), "count": moved})

    if not yes:
        number = on_shards(settings, secrets, "dlq", count)
        click.confirm(f"Discard {number} dead letters of {queue}?", abort=True, err=True)
    try:
        moved = on_shards(settings, secrets, "dlq", work)
    except BaseException:
        # As with replay: what is gone is noted.
        for sweep in sweeps:
            click.echo(f"ended early: {sweep.moved} discarded", err=True)
            note(sweep.moved)
        raise
    note(moved)
    _conclude("discarded", moved, max(0, len(letters) - moved), as_json=as_json)


@command.command(short_help="Write letters to a file; they stay in the queue.")
@queue_argument
@click.argument("file", type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path))
@filter_options
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@env_file_option
@click.pass_context
def export(
    context: click.Context,
    /,
    queue: QueueName,
    file: Path,
    overwrite: bool,
    env_file: Path | None,
    **wanted: Any,
) -> None:
    """Write letters to FILE (- is standard output), a JSON object a line, with gzip, the oldest first.

    They stay in the queue. Files of this form are read by import, and are what DLQ_ARCHIVE_DIR holds.
    """
    settings, secrets = configured(context, env_file)
    meant = _filter(**wanted)
    if str(file) != "-" and file.exists() and not overwrite:
        raise click.ClickException(f"{file}: is there already: choose another name, or --overwrite")

    async def work(shards: AsyncShards) -> list[bytes]:
        every = DeadLetters(shards, queue)
        return [letter.raw async for letter in every.oldest_first() if meant.takes(letter)]

    raws = on_shards(settings, secrets, "dlq", work)
    try:
        if str(file) == "-":
            write_letters(sys.stdout.buffer, raws)
            sys.stdout.flush()
        else:
            write_letter_file(file, raws)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}") from error
    click.echo(f"{len(raws)} letters written to {file}", err=True)


@command.command("import", short_help="Put the letters of a file back into a queue.")
@queue_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@env_file_option
@click.pass_context
def import_file(
    context: click.Context, queue: QueueName, file: Path, as_json: bool, env_file: Path | None
) -> None:
    """Put the letters of FILE (of export, or out of DLQ_ARCHIVE_DIR) back into QUEUE, as its oldest."""
    settings, secrets = configured(context, env_file)
    try:
        raws = list(read_letters(file))
    except LetterFileError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise click.ClickException(f"{file}: {getattr(error, 'strerror', None) or error}") from error

    async def work(shards: AsyncShards) -> None:
        piles = {pile.shard.number: pile for pile in DeadLetters(shards, queue).piles}
        by_shard: dict[int, list[bytes]] = {}
        for raw in raws:
            number = shard_of(read_letter(raw).hostname or "", settings.redis_shards)
            by_shard.setdefault(number, []).append(raw)
        for number, mine in by_shard.items():
            depth, most = await piles[number].depth(), most_of(queue, settings)
            if depth + len(mine) > most:
                raise click.ClickException(
                    f"{queue}: has {depth} letters, and room for {most - depth} of {len(mine)}: more would be "
                    "archived again; replay or discard some first"
                )
        for number, mine in by_shard.items():
            await piles[number].put_back(mine)

    on_shards(settings, secrets, "dlq", work)
    _note(settings, secrets, "import", queue, {"file": str(file), "count": len(raws)})
    _conclude("imported", len(raws), 0, as_json=as_json)


def _summary(settings: Settings, secrets: Secrets, *, as_json: bool) -> None:
    async def work(shards: AsyncShards) -> list[dict[str, Any]]:
        found = []
        for queue in QUEUES:
            letters = DeadLetters(shards, queue)
            depth = await letters.depth()
            reasons = Counter([each.reason async for each in letters.newest_first(min(depth, REASONS_OF))])
            listed = [{"reason": reason, "count": count} for reason, count in reasons.most_common(10)]
            found.append({"queue": queue, "depth": depth, "reasons": listed})
        return found

    queues = on_shards(settings, secrets, "dlq", work)
    if as_json:
        click.echo(json.dumps(queues, indent=2))
        return
    for each in queues:
        click.echo(f"{each['depth']:>8} {each['queue']}")
        for reason in each["reasons"]:
            click.echo(visible(f"{'':9}{reason['count']:>8} {reason['reason'][:120]}"))


def _to_the_second(moment: str | None) -> str:
    """A time of ISO 8601 without its fractions, in UTC as --since takes it; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(moment or '-').astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    except ValueError:
        return (moment or "-")[:20]


def _filter(
    reason: str | None, host: str | None, text: str | None, since: datetime | None, until: datetime | None
) -> LetterFilter:
    return LetterFilter(reason, host, text, since, until)


def _meant(letters: tuple[str, ...], everything: bool, wanted: dict[str, Any]) -> LetterFilter:
    """The filter; exactly one of letters, filters and --all must say what is meant."""
    if sum((bool(letters), any(wanted.values()), everything)) != 1:
        raise click.UsageError("name letters, or give filters, or say --all")
    return _filter(**wanted)


async def _named(shards: AsyncShards, queue: QueueName, names: tuple[str, ...] | list[str]) -> list[Letter]:
    """The letters whose ids begin with `names`."""
    every = DeadLetters(shards, queue)
    found: dict[str, list[Letter]] = {name: [] for name in names}
    async for letter in every.oldest_first():
        for name in names:
            if letter.id.startswith(name.lower()):
                found[name].append(letter)
    for name, letters in found.items():
        # The same bytes twice are two letters of one name; either may be meant.
        if not letters:
            raise click.ClickException(f"{queue}: there is no dead letter {name}")
        if len({letter.id for letter in letters}) > 1:
            raise click.ClickException(
                f"{queue}: {len(letters)} dead letters begin with {name}: give more of it"
            )
    return [letters[0] for letters in found.values()]


async def _replay_named(
    shards: AsyncShards, queue: QueueName, names: tuple[str, ...], limits: Limits
) -> tuple[int, int]:
    every = DeadLetters(shards, queue)
    moved = failed = 0
    for letter in await _named(shards, queue, names):
        try:
            item = replayed(queue, letter, letter.payload, limits)
        except NotReplayableError as error:
            click.echo(f"{letter.id[:12]}: {error}", err=True)
            failed += 1
        else:
            moved += await every.replay(letter, item)
    return moved, len(names) - moved


def _show_progress(sweep: Sweep) -> None:
    if sys.stderr.isatty():
        click.echo(
            f"\r{sweep.looked_at} of {sweep.most} looked at, {sweep.moved} replayed", nl=False, err=True
        )
        if sweep.looked_at >= sweep.most:
            click.echo(err=True)


def _noted(letters: tuple[str, ...], meant: LetterFilter) -> dict[str, Any]:
    if letters:
        return {"ids": list(letters)[:CHUNK]}
    return {name: value for name, value in vars(meant).items() if value is not None}


def _note(settings: Settings, secrets: Secrets, action: str, queue: str, what: dict[str, Any]) -> None:
    """Into the history; what was done stays done where that cannot be had."""
    try:
        with database_of(settings, secrets) as database, database.connection() as conn:
            note_letters(conn, operator(), action, queue, what)
    except click.ClickException as error:
        click.echo(f"done, but not noted in config_audit_log: {error.message}", err=True)


def _conclude(word: str, moved: int, failed: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({word: moved, "failed": failed}))
    else:
        click.echo(f"{moved} {word}" + (f", {failed} could not be, and stay" if failed else ""))
    if failed:
        raise SystemExit(1)
