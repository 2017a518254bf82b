"""The alerter of the one-file executable against the same alerter run from source by this machine's Python."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from bench import appliance
from bench.alerter import DISTINCT_EVENTS, ENVIRONMENT, MATCHED_EVERY, RULES, Contest
from bench.measure import in_turns
from bench.report import Figure, rate
from bench.run import CannotMeasureError, Run
from bench.stores import REPOSITORY
from bench.traffic import events, traffic

EXECUTABLE = REPOSITORY / "dist" / "mutt"
# The web UI and the ingestor have nothing to do meanwhile.
ALONE = {**ENVIRONMENT, "FORWARDER_WORKERS": "0"}


def bench(run: Run) -> list[Figure]:
    """Events a second of each, in turns, each time by appliances of their own."""
    if not EXECUTABLE.exists():
        raise CannotMeasureError(f"{EXECUTABLE} is missing: make binary")
    progress = run.about("frozen")
    source = traffic(RULES)
    samples = [orjson.dumps(event)[1:] for event in events(source, DISTINCT_EVENTS, MATCHED_EVERY)]
    run.stores.empty_redis()
    database = run.stores.new_database(source.rules)

    def measured(executable: Path | None) -> float:
        target = appliance.start(run.stores, database, env=ALONE, executable=executable)
        try:
            target.wait_for_log("Cache reload complete")
            with run.stores.redis.client() as client:
                contest = Contest(run, database, client, samples)
                contest.ours()
                return contest.ours()
        finally:
            target.close()
            run.stores.empty_redis()

    from_source, frozen = in_turns(
        run.rounds, [lambda: measured(None), lambda: measured(EXECUTABLE)], progress
    )
    version = ".".join(map(str, sys.version_info[:3]))
    return [
        Figure(
            "frozen_alerter_ratio",
            "alerter of dist/mutt",
            rate(frozen.median, "events/s"),
            frozen.median / from_source.median,
            f"from source, Python {version}: {rate(from_source.median, 'events/s')}",
            f"spread {frozen.spread:.0%}, reference {from_source.spread:.0%}",
        )
    ]
