"""PostgreSQL fails over under load: every event that was answered is audited exactly once, and none is lost."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.support.appliance import Appliance
from tests.support.ledger import Books, faults, summary
from tests.support.load import Load
from tests.support.pipeline import ANSWER_SECS, DATABASE, QUICK, Pipeline, run_on
from tests.support.postgres_ha import PostgresPair, rows_in
from tests.support.servers import PostgresServer
from tests.support.waiting import wait_until

ROUNDS = 5
FAILOVER_SECS = 30.0
STRETCH_EVENTS = 1000
# The longest pause of the audit log that a failover may cost beside the promotion itself: a statement that is
# given up (DB_STATEMENT_TIMEOUT and 2 s), a connection to the silent server (DB_CONNECT_TIMEOUT), a backoff.
PAUSE_KILLED_SECS = 10.0
PAUSE_FROZEN_SECS = 15.0


def start(stack: ExitStack, pipeline: Pipeline, pair: PostgresPair) -> Appliance:
    """An appliance on the pair, with rules."""
    stack.callback(pair.close)
    pair.start()
    env = {
        **QUICK,
        **pair.env,
        "REDIS_HOST": pipeline.redis.address,
        "MOOG_WEBHOOK_URL": pipeline.moogsoft.url,
    }
    appliance = stack.enter_context(Appliance(env))
    appliance.start_and_wait()
    pipeline.appliances.append(appliance)
    pipeline.begin(pair.primary)
    return appliance


def load_for(appliance: Appliance, seed: int, batches_per_sec: float = 9.0) -> Load:
    """About 550 events per second."""
    return Load(appliance.url(), appliance.api_key, batches_per_sec=batches_per_sec, seed=seed)


def fail_over(pair: PostgresPair, load: Load, *, frozen: bool) -> float:
    """End the primary under load, promote the standby; seconds from its end until the audit log grows again."""
    run_on(load, STRETCH_EVENTS)
    ended_at = time.monotonic()
    if frozen:
        pair.primary.pause()
    else:
        pair.primary.kill()
    wait_until(lambda: not pair.streams, FAILOVER_SECS, "the standby notices")
    before = rows_in(pair.standby, DATABASE)
    assert before > 0
    old = pair.promote()
    wait_until(lambda: rows_in(pair.primary, DATABASE) > before, FAILOVER_SECS, "the audit log grows again")
    pause = time.monotonic() - ended_at
    if frozen:
        # Fenced: what it was asked and had not done by then is never done.
        old.kill()
    run_on(load, STRETCH_EVENTS)
    return pause


def event_ids(server: PostgresServer) -> set[object]:
    """What is in its audit log."""
    rows = server.execute("SELECT event_id FROM event_audit_log WHERE NOT raw_event ? 'mutt_meta'", DATABASE)
    return {event_id for (event_id,) in rows}


def report(title: str, books: Books, load: Load, pauses: list[float]) -> None:
    """Print the ledger."""
    figures = {
        "answered per second": round(load.answered / load.seconds),
        "answers": dict(load.answers),
        "audit log stood still (s)": [round(pause, 1) for pause in pauses],
        **summary(books),
    }
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:42} {value}")


def assert_it_adds_up(appliance: Appliance, load: Load, books: Books) -> None:
    assert faults(books) == []
    assert load.refused == []
    assert load.answered == len(load.offered) > 0
    assert set(load.answers) == {"200"}, "ingest depends on Redis alone"
    # Nobody was killed for waiting: the processes are those of the start.
    assert appliance.logged("process state", state="BACKOFF") == []


def test_the_primary_is_killed_and_the_standby_promoted(stack: ExitStack, pipeline: Pipeline) -> None:
    pair = PostgresPair(synchronous=True)
    appliance = start(stack, pipeline, pair)
    with load_for(appliance, seed=1) as load:
        pause = fail_over(pair, load, frozen=False)
        load.finish(ANSWER_SECS)
    books = pipeline.books([load], pair.primary)
    report("Primary killed, synchronous standby promoted", books, load, [pause])
    assert_it_adds_up(appliance, load, books)
    assert pause < PAUSE_KILLED_SECS


@pytest.mark.ha
@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
def test_a_standby_that_lags_behind_loses_rows_only_where_commits_do_not_wait_for_it(
    stack: ExitStack, pipeline: Pipeline, synchronous: bool
) -> None:
    pair = PostgresPair(synchronous=synchronous)
    appliance = start(stack, pipeline, pair)
    with load_for(appliance, seed=3) as load:
        run_on(load, STRETCH_EVENTS)
        pair.cut_off_standby()
        run_on(load, STRETCH_EVENTS)
        pair.primary.kill()
        old = pair.promote()
        run_on(load, STRETCH_EVENTS)
        load.finish(ANSWER_SECS)
    books = pipeline.books([load], pair.primary)
    report(f"Standby behind, {'' if synchronous else 'a'}synchronous replication", books, load, [])
    # Its rows are to be counted, not to be written to.
    appliance.terminate()
    old.start()
    lost = event_ids(old) - {entry.event_id for entry in books.audit}
    print(f"  {'rows that only the old primary had':42} {len(lost)}")
    if synchronous:
        assert_it_adds_up(appliance, load, books)
        assert not lost
    else:
        assert lost
        audited = {entry.token for entry in books.audit}
        missing = [each for each in load.offered if each.kind != "unmatched" and each.token not in audited]
        assert len(missing) == len(lost), "what is missing is what the old primary had for itself"


@pytest.mark.ha
@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_failing_over_again_and_again_to_a_synchronous_standby(
    stack: ExitStack, pipeline: Pipeline, frozen: bool
) -> None:
    pair = PostgresPair(synchronous=True)
    appliance = start(stack, pipeline, pair)
    pauses = []
    with load_for(appliance, seed=2, batches_per_sec=18) as load:
        for number in range(ROUNDS):
            if number:
                pair.attach_standby()
            pauses.append(fail_over(pair, load, frozen=frozen))
        load.finish(ANSWER_SECS)
    books = pipeline.books([load], pair.primary)
    kind = "frozen, fenced" if frozen else "killed"
    report(f"Primary {kind} {ROUNDS} times, synchronous standby promoted", books, load, pauses)
    assert_it_adds_up(appliance, load, books)
    assert max(pauses) < (PAUSE_FROZEN_SECS if frozen else PAUSE_KILLED_SECS)
