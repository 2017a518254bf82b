"""Two appliances on the same stores: one is killed whole, both are rolled, and nothing is lost or overdone."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress

import pytest

from tests.support.appliance import Appliance
from tests.support.ledger import Books, faults, summary
from tests.support.load import Load
from tests.support.pipeline import ANSWER_SECS, DATABASE, QUICK, Pipeline, run_on
from tests.support.servers import PostgresServer
from tests.support.waiting import wait_until
from tests.support.windows import most_in_a_window

RATE_LIMIT = 30
RATE_PERIOD_SECS = 1.0
# So long the requests of the dead one count for the limit, and 5 s and a period more.
WEBHOOK_TIMEOUT_SECS = 2.0
# What the two did about each other's dead.
RECOVERED = ("recovered events of workers that are gone", "alerts of dead workers are back in the queue")


@pytest.fixture
def postgres(stack: ExitStack) -> PostgresServer:
    """A server without MUTT's database."""
    server = PostgresServer()
    stack.callback(server.close)
    server.start()
    return server


def add_appliance(stack: ExitStack, pipeline: Pipeline, postgres: PostgresServer, **env: str) -> Appliance:
    """One more appliance on the same stores and secrets, with folders and ports of its own; not started."""
    shared = {
        **QUICK,
        "REDIS_HOST": pipeline.redis.address,
        "DB_HOST": postgres.address,
        "DB_PORT": str(postgres.port),
        "MOOG_WEBHOOK_URL": pipeline.moogsoft.url,
    }
    if pipeline.appliances:
        shared["MUTT_SECRETS_FILE"] = pipeline.first.env["MUTT_SECRETS_FILE"]
    appliance = stack.enter_context(Appliance({**shared, **env}))
    pipeline.appliances.append(appliance)
    return appliance


def start_both(stack: ExitStack, pipeline: Pipeline, postgres: PostgresServer, **env: str) -> None:
    """Two appliances that start at the same moment on a server without a database."""
    for _ in range(2):
        add_appliance(stack, pipeline, postgres, **env).start()
    for appliance in pipeline.appliances:
        appliance.wait_for_log("every process serves")
        appliance.processes()
    pipeline.begin(postgres)


def load_on_both(pipeline: Pipeline, **options: float) -> Load:
    first, second = pipeline.appliances
    return Load(first.url(), first.api_key, more_urls=(second.url(),), **options)  # type: ignore[arg-type]


def kill_whole(appliance: Appliance) -> None:
    """SIGKILL to the supervisor and each of its children at once, as when its machine loses power."""
    for pid in [appliance.pid, *(process.pid for process in appliance.processes())]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    appliance.wait()


def report(title: str, books: Books, load: Load, **more: object) -> None:
    """Print the ledger."""
    print(f"\n{title}")
    figures = {"answered per second": round(load.answered / load.seconds), "answers": dict(load.answers)}
    for name, value in {**figures, **more, **summary(books)}.items():
        print(f"  {name:42} {value}")


def assert_the_limit_was_kept(pipeline: Pipeline) -> dict[str, object]:
    """At the receiver, in every window of the period."""
    arrivals = sorted(request.at for request in pipeline.moogsoft.requests)
    most = most_in_a_window(arrivals, RATE_PERIOD_SECS)
    figures: dict[str, object] = {
        "requests received": len(arrivals),
        f"most in any {RATE_PERIOD_SECS:g} s, of {RATE_LIMIT} allowed": most,
        "received per second": round((len(arrivals) - 1) / (arrivals[-1] - arrivals[0]), 1),
    }
    assert most <= RATE_LIMIT < len(arrivals), figures
    return figures


def test_one_is_killed_whole_and_the_other_recovers_its_work_within_the_shared_limit(
    stack: ExitStack, pipeline: Pipeline, postgres: PostgresServer
) -> None:
    limit = {
        "MOOG_RATE_LIMIT": str(RATE_LIMIT),
        "MOOG_RATE_PERIOD": str(RATE_PERIOD_SECS),
        "MOOG_WEBHOOK_TIMEOUT": str(WEBHOOK_TIMEOUT_SECS),
    }
    start_both(stack, pipeline, postgres, **limit)
    first, second = pipeline.appliances
    migrated = [
        line["migration"] for each in pipeline.appliances for line in each.logged("migration applied")
    ]
    assert len(migrated) == len(set(migrated)) > 0
    with load_on_both(pipeline, batches_per_sec=6, seed=5) as load:
        run_on(load, 1200)
        kill_whole(first)
        run_on(load, 1200)
        load.finish(ANSWER_SECS)
    books = pipeline.books([load], postgres)
    figures = assert_the_limit_was_kept(pipeline)
    report("Two appliances, one killed whole", books, load, **figures)
    assert faults(books) == []
    assert load.refused == []
    assert load.answered == len(load.offered)
    assert any(second.logged(event) for event in RECOVERED), "the dead one held nothing: nothing was shown"
    wait_until(lambda: not first.leftovers(), 5, "nothing of it is left")


def test_both_are_rolled_one_after_the_other_under_load(
    stack: ExitStack, pipeline: Pipeline, postgres: PostgresServer
) -> None:
    start_both(stack, pipeline, postgres)
    with load_on_both(pipeline, batches_per_sec=4, seed=6) as load:
        for appliance in pipeline.appliances:
            run_on(load, 300)
            assert appliance.terminate() == 0
            before = len(appliance.logged("every process serves"))
            appliance.start()
            appliance.wait_for_log("every process serves", count=before + 1)
        run_on(load, 300)
        load.finish(ANSWER_SECS)
    books = pipeline.books([load], postgres)
    report("Two appliances, rolled", books, load)
    assert faults(books) == []
    assert load.refused == []
    assert load.answered == len(load.offered)
    assert not {status for status in load.answers if status.startswith(("4", "5"))}, load.answers
    # Each gave back what it held: nothing had to wait for a lease to run out.
    assert not any(each.logged(event) for each in pipeline.appliances for event in RECOVERED)


def test_the_same_pod_name_is_refused_once_and_does_no_harm(
    stack: ExitStack, pipeline: Pipeline, postgres: PostgresServer
) -> None:
    first = add_appliance(stack, pipeline, postgres, POD_NAME="same").start_and_wait()
    first.wait_for_log("every process serves")
    second = add_appliance(stack, pipeline, postgres, POD_NAME="same").start_and_wait()
    pipeline.begin(postgres)
    refusal = "is in use by another appliance: give each its own POD_NAME, or unset it"
    (alerter,) = second.wait_for_log("worker name is taken, events wait")
    (forwarder,) = second.wait_for_log("worker name is taken")
    assert refusal in alerter["error"]
    assert refusal in forwarder["error"]
    with Load(second.url(), second.api_key, batches_per_sec=4, seed=7) as load:
        run_on(load, 500)
        load.finish(ANSWER_SECS)
    # Taken in by the second, worked on by the first; the second neither fights for the name nor fills its log.
    books = pipeline.books([load], postgres)
    assert faults(books) == []
    assert not second.logged("process state", state="BACKOFF")
    assert len(second.logged("worker name is taken, events wait")) == 1
    assert len(second.logged("worker name is taken")) == 1
    first.terminate()
    second.wait_for_log("registered")


def test_an_older_appliance_works_on_the_schema_of_a_newer_one(
    stack: ExitStack, pipeline: Pipeline, postgres: PostgresServer
) -> None:
    newer = add_appliance(stack, pipeline, postgres).start_and_wait()
    newer.terminate()
    postgres.execute("ALTER TABLE alert_rules ADD COLUMN of_tomorrow text", DATABASE)
    postgres.execute(
        "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) "
        "VALUES ('x', '9999_tomorrow', now())",
        DATABASE,
    )
    older = add_appliance(stack, pipeline, postgres).start_and_wait()
    older.wait_for_log("the database was migrated by a newer MUTT")
    pipeline.appliances.remove(newer)
    pipeline.begin(postgres)
    with Load(older.url(), older.api_key, batches_per_sec=4, seed=8) as load:
        run_on(load, 300)
        load.finish(ANSWER_SECS)
    assert faults(pipeline.books([load], postgres)) == []
