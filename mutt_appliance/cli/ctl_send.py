"""`mutt-ctl send`: a test event through the real door, followed to its end."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg2

from mutt_appliance.cli.configuration import load_or_exit
from mutt_appliance.cli.ctl_environment import environment_with_runtime_dir
from mutt_appliance.config import EXIT_CONFIG, Settings
from mutt_appliance.secrets import Secrets, SecretsError
from mutt_appliance.secrets.source import read_secrets
from mutt_appliance.tracing.door import DoorError, TestEvent, address_of, post
from mutt_appliance.tracing.journey import Depths, Journey, Sighting, Step, where_stuck

LOOK_EVERY_SECS = 0.05
COLOURS = {
    "accepted": "cyan",
    "audited": "cyan",
    "unmatched": "yellow",
    "retry": "yellow",
    "delivered": "green",
    "refused": "red",
    "dead": "red",
}


@click.command(short_help="Send a test event and follow it to its end.")
@click.option("--message", default="MUTT test event", show_default=True, help="Text of the event.")
@click.option("--hostname", default="mutt-test", show_default=True, help="Host the event is about.")
@click.option(
    "--severity", type=click.IntRange(0, 7), default=6, show_default=True, help="Syslog severity, 0 is worst."
)
@click.option("--trap-oid", help="Makes it a trap with this numeric OID.")
@click.option(
    "--count", type=click.IntRange(1, 100), default=1, show_default=True, help="Events in one request."
)
@click.option(
    "--timeout",
    "timeout_secs",
    type=click.FloatRange(0.1, 3600),
    default=30.0,
    show_default=True,
    help="Seconds to follow.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document at the end instead of lines.")
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings. [default: $MUTT_ENV_FILE, /etc/mutt/mutt.env]",
)
@click.pass_context
def command(
    context: click.Context,
    message: str,
    hostname: str,
    severity: int,
    trap_oid: str | None,
    count: int,
    timeout_secs: float,
    as_json: bool,
    env_file: Path | None,
) -> None:
    """Send a test event and follow it: accepted, audited or counted, delivered or dead.

    What happens is up to your rules: an event that a paging rule matches pages. Ends with 0 when every
    event reached an end that the rules want, else with 1.
    """
    settings = load_or_exit(env_file, environment_with_runtime_dir(context, os.environ))
    try:
        secrets = read_secrets(settings, os.environ)
    except SecretsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_CONFIG)
    event = TestEvent(hostname, message, severity, trap_oid)
    show = _silent if as_json else _Printer(numbered=count > 1)
    started = time.monotonic()
    correlation_id = f"mutt-ctl-{uuid.uuid4()}"
    journeys, trouble, depths = _follow(
        settings, secrets, event, count, correlation_id, started + timeout_secs, show
    )
    if as_json:
        click.echo(json.dumps(_document(journeys, correlation_id, trouble, depths), indent=2))
    else:
        _conclude(journeys, trouble, depths, time.monotonic() - started)
    sys.exit(0 if journeys and not trouble and all(journey.well for journey in journeys) else 1)


def _follow(
    settings: Settings,
    secrets: Secrets,
    event: TestEvent,
    count: int,
    correlation_id: str,
    deadline: float,
    show: Callable[[int, Step], None],
) -> tuple[list[Journey], str, Depths | None]:
    """(journeys, trouble in words, depths of the queues if some journey did not end)."""
    from mutt_appliance.queueing.client import RedisError, blocking_client
    from mutt_appliance.queueing.keys import KeySpace
    from mutt_appliance.queueing.shards import shard_of
    from mutt_appliance.store.errors import StoreUnavailable, reason
    from mutt_appliance.store.pool import Database
    from mutt_appliance.tracing.watching import Watcher

    now = datetime.now(UTC)
    documents = event.documents(count, now)
    journeys = [Journey(document["event_id"]) for document in documents]
    # All that becomes of an event happens in the shard of its host.
    shard = shard_of(event.hostname, settings.redis_shards)
    client = blocking_client(settings, secrets, "ctl-send", shard)
    with closing(Database(settings, secrets, "mutt-ctl send")) as database, client:
        watcher = Watcher(client, KeySpace(settings, shard), database, event.hostname, event.message)
        begun = time.monotonic()

        def note(sightings: Iterable[Sighting]) -> None:
            secs = time.monotonic() - begun
            numbers = {journey.event_id: number for number, journey in enumerate(journeys)}
            for sighting in sightings:
                number = numbers[sighting.event_id]
                step = journeys[number].see(sighting, secs)
                if step is not None:
                    show(number, step)

        try:
            watcher.before_sending(now)
            begun = time.monotonic()
            refused = post(settings, secrets.ingest_api_key, documents, correlation_id)
            port = address_of(settings)[1]
            note(
                Sighting(journey.event_id, "refused", refused[n])
                if n in refused
                else Sighting(
                    journey.event_id, "accepted", f"on port {port}, correlation id {correlation_id}"
                )
                for n, journey in enumerate(journeys)
            )
            while not all(journey.ended for journey in journeys) and time.monotonic() < deadline:
                note(watcher.look(journeys))
                time.sleep(LOOK_EVERY_SECS)
            if all(journey.ended for journey in journeys):
                return journeys, "", None
            return journeys, "", watcher.depths()
        except DoorError as error:
            return journeys, str(error), None
        except RedisError as error:
            return journeys, f"Redis at {settings.redis_where}: {error}: see mutt-ctl doctor", None
        except StoreUnavailable as error:
            return journeys, f"{str(error).strip()}: see mutt-ctl doctor", None
        except psycopg2.Error as error:
            return journeys, f"audit log: {reason(error)}: see mutt-ctl doctor", None


class _Printer:
    """Prints steps as they happen; colour is click's business, which knows a terminal from a pipe."""

    def __init__(self, *, numbered: bool) -> None:
        self._numbered = numbered

    def __call__(self, number: int, step: Step) -> None:
        """One line of a step."""
        which = f"event {number + 1}: " if self._numbered else ""
        word = click.style(f"{step.stage:<9}", fg=COLOURS[step.stage])
        click.echo(f"{step.secs:7.3f} s  {which}{word}  {step.detail}")


def _silent(number: int, step: Step) -> None:
    """Says nothing: the whole comes as one document at the end."""


def _conclude(journeys: list[Journey], trouble: str, depths: Depths | None, secs: float) -> None:
    if trouble:
        click.echo(f"error: {trouble}", err=True)
        return
    for number, journey in enumerate(journeys):
        if not journey.ended:
            which = f"event {number + 1} " if len(journeys) > 1 else "the event "
            click.echo(
                f"error: {which}did not reach its end in time: {where_stuck(journey.stage, depths)}", err=True
            )
    well = sum(journey.well for journey in journeys)
    click.echo(f"{well} of {len(journeys)} reached the end that the rules want, in {secs:.1f} s")


def _document(
    journeys: list[Journey], correlation_id: str, trouble: str, depths: Depths | None
) -> dict[str, object]:
    return {
        "correlation_id": correlation_id,
        "error": trouble or None,
        "events": [
            {
                "event_id": journey.event_id,
                "alert_id": journey.alert_id,
                "ended": journey.ended,
                "well": journey.well,
                "stuck": None if journey.ended or trouble else where_stuck(journey.stage, depths),
                "steps": [
                    {"stage": step.stage, "secs": round(step.secs, 3), "detail": step.detail}
                    for step in journey.steps
                ],
            }
            for journey in journeys
        ],
    }
