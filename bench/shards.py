"""One Redis with three shards beside one: what the spreading costs where it gains nothing."""

from __future__ import annotations

import contextlib

import orjson

from bench import appliance
from bench.alerter import DISTINCT_EVENTS, ENVIRONMENT, MATCHED_EVERY, RULES, Contest
from bench.ingest import BATCH, Batches, batch_bodies, batch_workers, start_ingestor
from bench.measure import Series, in_turns
from bench.report import Figure, rate
from bench.run import Run
from bench.traffic import events, traffic

SHARDS = 3


def bench(run: Run) -> list[Figure]:
    """Events a second of ingestors and of an alerter, with three shards and with one."""
    return [*_ingest(run), *_alerter(run)]


def _ingest(run: Run) -> list[Figure]:
    progress = run.about("shards, ingest")
    with contextlib.ExitStack() as stack:
        bodies = batch_bodies()
        subjects = []
        for shards in (1, SHARDS):
            target = start_ingestor(run, batch_workers(), shards=shards)
            stack.callback(target.close)
            subjects.append(Batches(run, target, bodies, shards))
            progress("warming up")
            subjects[-1].plain()
        one, several = in_turns(run.rounds, [subject.plain for subject in subjects], progress)
        one_ids, several_ids = in_turns(run.rounds, [subject.with_ids for subject in subjects], progress)
    run.stores.empty_redis()
    return [
        _figure(f"ingest, {BATCH:,} a POST, {SHARDS} shards", several, one),
        _figure(f"ingest, {BATCH:,} a POST, ids of the sender, {SHARDS} shards", several_ids, one_ids),
    ]


def _alerter(run: Run) -> list[Figure]:
    progress = run.about("shards, alerter")
    source = traffic(RULES)
    samples = [orjson.dumps(event)[1:] for event in events(source, DISTINCT_EVENTS, MATCHED_EVERY)]
    run.stores.empty_redis()
    series: list[Series] = []
    with run.stores.redis.client() as client:
        for shards in (1, SHARDS):
            database = run.stores.new_database(source.rules)
            env = {**ENVIRONMENT, "REDIS_SHARDS": str(shards)}
            target = appliance.start(run.stores, database, roles=("alerter",), env=env)
            try:
                target.wait_for_log("Cache reload complete")
                contest = Contest(run, database, client, samples, shards)
                progress("warming up")
                contest.ours()
                series += in_turns(run.rounds, [contest.ours], progress)
            finally:
                target.close()
                run.stores.empty_redis()
    one, several = series
    return [_figure(f"alerter, {RULES:,} rules, {SHARDS} shards", several, one)]


def _figure(name: str, several: Series, one: Series) -> Figure:
    return Figure(
        None,
        name,
        rate(several.median, "events/s"),
        several.median / one.median,
        f"one shard {rate(one.median, 'events/s')}",
        f"one Redis; spread {several.spread:.0%}, reference {one.spread:.0%}",
    )
