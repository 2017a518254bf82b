"""`python -m bench.soak`: half of the capacity for SOAK_MINUTES, a table, and one JSON object as the last line."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from bench.run import CannotMeasureError
from bench.soak.company import Company
from bench.soak.load import Load
from bench.soak.samples import Looker, Sample
from bench.soak.verdict import Facts, Verdict
from bench.stores import insert_rules
from bench.traffic import Traffic, events, traffic
from tests.support.appliance import Appliance
from tests.support.rules import reload_rules
from tests.support.waiting import wait_until

RULES = 1_000
MATCHED_EVERY = 10
# So few that counters of unmatched events pass their threshold early: afterwards there are no more of them.
DISTINCT_EVENTS = 5_000
SHARE_OF_CAPACITY = 0.5
PROGRESS_SECS = 30.0
WARM_UP_SECS = 10.0
DRAIN_SECS = 120.0
# While the capacity is looked for no more than this waits: what is sent then is what goes through.
MAX_WAITING = 5_000
GATE_SECS = 0.02
ENVIRONMENT = {
    # As much as the appliance can: the limit and the shedding are for Moogsoft's sake.
    "MOOG_RATE_LIMIT": "1000000",
    "ALERTER_QUEUE_WARN_THRESHOLD": "1000000000",
    "ALERTER_QUEUE_SHED_THRESHOLD": "1000000000",
    # The ids of two windows are in Redis: with an hour it would be full after two.
    "INGEST_DEDUP_WINDOW_SECONDS": "60",
    "LOG_LEVEL": "INFO",
}
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How long, how often, and the events a second (None: half of the capacity, to be measured)."""

    seconds: float
    capacity_secs: float
    sample_secs: float
    rate: float | None


@click.command()
@click.option(
    "--minutes",
    envvar="SOAK_MINUTES",
    default=30.0,
    type=click.FloatRange(0.2, 10_000),
    show_default=True,
    help="How long, without what comes before (or SOAK_MINUTES)",
)
@click.option(
    "--capacity-seconds",
    default=60.0,
    type=click.FloatRange(1, 3600),
    show_default=True,
    help="How long the capacity is measured",
)
@click.option(
    "--sample-seconds",
    default=5.0,
    type=click.FloatRange(0.5, 60),
    show_default=True,
    help="Time between two samples",
)
@click.option(
    "--rate", type=click.FloatRange(1), help="Events a second, instead of half of the measured capacity"
)
def main(minutes: float, capacity_seconds: float, sample_seconds: float, rate: float | None) -> None:
    """Run a whole appliance at half of its capacity; the exit code is 1 if something grows.

    Ctrl-C ends it with what is known by then.
    """
    if os.geteuid() != 0:
        raise click.ClickException("only root may look into MUTT's processes, which hold secrets: use sudo")
    started = time.monotonic()

    def progress(text: str) -> None:
        click.echo(f"{time.monotonic() - started:5.0f} s  {text}", err=True)

    # SIGTERM ends us as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        verdict = soak(Plan(minutes * 60, capacity_seconds, sample_seconds, rate), progress)
    except (CannotMeasureError, AssertionError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("ended before there was anything to judge") from None
    click.echo(verdict.table())
    click.echo(verdict.json_line())
    sys.exit(1 if verdict.faults else 0)


def soak(plan: Plan, progress: Progress) -> Verdict:
    """The whole run."""
    source = traffic(RULES)
    load = Load(events(source, DISTINCT_EVENTS, MATCHED_EVERY))
    progress("starting the appliance")
    with running_appliance(load, source) as (target, looker):
        capacity, rate = None, plan.rate
        try:
            if rate is None:
                capacity = measure_capacity(load, looker, plan.capacity_secs, progress)
                rate = capacity * SHARE_OF_CAPACITY
            load.keep_to(rate)
            time.sleep(WARM_UP_SECS)
            progress(f"{plan.seconds / 60:g} min at {rate:,.0f} events/s")
            with Company(target, plan.seconds) as company:
                samples = take_samples(plan, looker, load, progress)
        finally:
            load.stop()
        rows, size = looker.audit_size()
        troubles = [f"sender: {count} x {what}" for what, count in load.refused.items()]
        troubles += [f"{count} x {what}" for what, count in company.failed.items()]
        facts = Facts(
            *(capacity, rate, load.accepted, load.alerts, rows, size, dict(company.done), tuple(troubles))
        )
    if not samples:
        raise CannotMeasureError("ended before the first sample")
    return Verdict(samples, facts)


@contextmanager
def running_appliance(load: Load, source: Traffic) -> Iterator[tuple[Appliance, Looker]]:
    """An appliance with stores of its own that has the rules of `source`, and the load begun but closed."""
    env = {**ENVIRONMENT, "MOOG_WEBHOOK_URL": load.webhook_url}
    with Appliance(env) as target:
        target.start()
        target.wait_for_log("every process serves")
        looker = Looker(target)
        try:
            insert_rules(looker.database, source.rules)
            reload_rules(target)
            load.start(target.ports["SERVER_PORT_INGESTOR"], target.api_key)
            yield target, looker
        finally:
            looker.close()


def measure_capacity(load: Load, looker: Looker, seconds: float, progress: Progress) -> float:
    """Events a second that go through from the door to the webhook while hardly any waits; then nothing waits."""
    progress(f"measuring the capacity for {seconds:g} s")
    _hold_full(load, looker, min(WARM_UP_SECS, seconds))
    before = load.accepted - sum(looker.waiting())
    begun = time.monotonic()
    _hold_full(load, looker, seconds)
    through = load.accepted - sum(looker.waiting()) - before
    capacity = through / (time.monotonic() - begun)
    load.open = False
    wait_until(lambda: not any(looker.waiting()), DRAIN_SECS, f"queues are empty: {looker.waiting()}")
    progress(f"capacity {capacity:,.0f} events/s")
    if load.refused or capacity <= 0:
        raise CannotMeasureError(f"the capacity was not measured: {dict(load.refused)}")
    return capacity


def _hold_full(load: Load, looker: Looker, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        load.open = sum(looker.waiting()) < MAX_WAITING
        time.sleep(GATE_SECS)


def take_samples(plan: Plan, looker: Looker, load: Load, progress: Progress) -> list[Sample]:
    """A sample every few seconds, until the time is over or somebody interrupts."""
    samples: list[Sample] = []
    begun = told = time.monotonic()
    accepted = load.accepted
    try:
        while not samples or samples[-1].at_secs < plan.seconds:
            samples.append(looker.look(begun))
            now = time.monotonic()
            if now - told >= PROGRESS_SECS:
                progress(_news(samples[-1], (load.accepted - accepted) / (now - told)))
                told, accepted = now, load.accepted
            due = begun + len(samples) * plan.sample_secs
            time.sleep(max(0.0, due - now))
    except KeyboardInterrupt:
        progress("interrupted")
    return samples


def _news(sample: Sample, rate: float) -> str:
    memory = ", ".join(f"{name} {process.memory_mb:.0f}" for name, process in sample.processes.items())
    return (
        f"{rate:,.0f} events/s; waiting {sample.events_waiting} + {sample.alerts_waiting}; "
        f"{sample.audit_rows:,} audit rows; Redis {sample.redis_used_mb:.0f} MB; memory in MB: {memory}"
    )


if __name__ == "__main__":
    main()
