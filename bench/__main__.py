"""`python -m bench`: measure, print a table, and one JSON object as the last line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import click

from bench import alerter, end_to_end, forwarder, frozen, ingest, matching, shards, sizes, starting, webui
from bench.http_load import LoadError
from bench.report import Figure, json_line, table
from bench.run import CannotMeasureError, Run
from bench.stores import running_stores
from mutt_appliance.telemetry.logs import configure_logging

BENCHES = {
    "ingest-batch": ingest.batch,
    "ingest-single": ingest.single,
    "alerter": alerter.bench,
    "frozen": frozen.bench,
    "matching": matching.bench,
    "forwarder": forwarder.bench,
    "end-to-end": end_to_end.bench,
    "starting": starting.bench,
    "shards": shards.bench,
    "sizes": sizes.bench,
    "webui": webui.bench,
}


@click.command()
@click.option(
    "--only", "names", multiple=True, type=click.Choice(list(BENCHES)), help="This one alone (repeatable)"
)
@click.option(
    "--seconds",
    default=3.0,
    type=click.FloatRange(0.1, 600),
    show_default=True,
    help="Length of one measurement",
)
@click.option(
    "--rounds", default=5, type=click.IntRange(1, 100), show_default=True, help="Measurements of each kind"
)
@click.option(
    "--rows",
    default=5_000_000,
    type=click.IntRange(1000, 50_000_000),
    show_default=True,
    help="Audit rows for the web UI (about 3 GB for the default)",
)
@click.option("--json-only", is_flag=True, help="Print nothing but the JSON object")
def main(names: tuple[str, ...], seconds: float, rounds: int, rows: int, json_only: bool) -> None:
    """Measure MUTT, each figure beside its reference.

    The exit code is 0 also when a target is missed, and 1 when something could not be measured.
    """

    def progress(text: str) -> None:
        if not json_only:
            click.echo(f"{time.monotonic() - started:5.0f} s  {text}", err=True)

    # SIGTERM ends us as Ctrl-C does: servers and appliances go with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # What MUTT's own parts tell at their usual level is not the news here.
    configure_logging("WARNING", "console", process="bench")
    started = time.monotonic()
    figures: list[Figure] = []
    failures: list[str] = []
    progress("starting Redis and PostgreSQL")
    with running_stores() as stores:
        run = Run(stores, seconds, rounds, rows, progress)
        for name in names or BENCHES:
            try:
                figures += BENCHES[name](run)
            except (
                CannotMeasureError,
                LoadError,
                AssertionError,
                subprocess.SubprocessError,
                OSError,
            ) as error:
                failures.append(f"{name} was not measured: {error}")
    if not json_only:
        click.echo(table(figures))
    for failure in failures:
        click.echo(failure, err=True)
    click.echo(json_line(figures))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
