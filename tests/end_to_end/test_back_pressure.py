"""When a part of the way is full or gone: 503 with Retry-After, nothing lost, and all goes on by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.line import Line, event, new_id
from tests.support.moogsoft import HANG, OK, Answer
from tests.support.rules import add_rules, rule
from tests.support.waiting import wait_until

StartLine = Callable[..., Line]
RETRY_AFTER = {"INGEST_RETRY_AFTER_SECONDS": "7"}
ENVIRONMENT = {
    **RETRY_AFTER,
    "REDIS_TIMEOUT": "1",
    "BRPOPLPUSH_TIMEOUT": "1",
    "ALERTER_JANITOR_TIMEOUT": "3",
    "ALERTER_HEARTBEAT_INTERVAL": "1",
    "MOOG_JANITOR_TIMEOUT": "3",
    "MOOG_HEARTBEAT_INTERVAL": "1",
    "CACHE_RELOAD_INTERVAL": "3",
    "LIVENESS_TIMEOUT": "6",
}


def events(kind: str, count: int) -> tuple[list[str], list[dict[str, Any]]]:
    """Ids and events that are forwarded."""
    ids = [new_id(kind) for _ in range(count)]
    return ids, [event(event_id=each) for each in ids]


def test_deferring_fills_the_ingest_queue_until_503_and_ends_when_alerts_flow_again(
    start_line: StartLine,
) -> None:
    line = start_line(
        **RETRY_AFTER,
        ALERTER_SHED_MODE="defer",
        ALERTER_QUEUE_WARN_THRESHOLD="5",
        ALERTER_QUEUE_SHED_THRESHOLD="10",
        ALERTER_BATCH_SIZE="10",
        ALERTER_BATCHES_AT_ONCE="1",
        ALERTER_DEFER_SLEEP_MS="50",
        MOOG_MAX_CONCURRENCY="2",
        MOOG_WEBHOOK_TIMEOUT="1",
        MOOG_MAX_RETRIES="100",
        MAX_INGEST_QUEUE_SIZE="50",
    )
    line.moogsoft.answer = lambda _: HANG
    accepted: list[str] = []

    def refused() -> bool:
        ids, bodies = events("defer", 10)
        answer = line.post(bodies)
        if answer.status == 200:
            accepted.extend(ids)
            return False
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "7"
        assert "MAX_INGEST_QUEUE_SIZE=50" in answer.body["error"]
        return True

    wait_until(refused, 30, "the ingest queue is full", interval_secs=0.1)
    assert line.redis.llen("mutt:alert_queue") >= 10
    assert line.redis.llen("mutt:ingest_queue") > 40
    line.moogsoft.answer = lambda _: OK
    for each in accepted:
        line.wait_delivered(each)
        assert len(line.rows(each)) == 1
    assert line.redis.llen("mutt:dlq:alerter") == 0
    line.good_event_passes()


def test_shedding_puts_alerts_into_the_dead_letters_and_their_events_into_the_audit_log(
    start_line: StartLine,
) -> None:
    line = start_line(
        ALERTER_SHED_MODE="dlq",
        ALERTER_QUEUE_WARN_THRESHOLD="5",
        ALERTER_QUEUE_SHED_THRESHOLD="10",
        ALERTER_BATCH_SIZE="10",
        MOOG_MAX_CONCURRENCY="2",
        MOOG_WEBHOOK_TIMEOUT="1",
        MOOG_MAX_RETRIES="100",
    )
    line.moogsoft.answer = lambda _: HANG
    accepted = []
    while not line.redis.llen("mutt:dlq:alerter"):
        ids, bodies = events("shed", 10)
        assert line.post(bodies).status == 200
        accepted += ids
        assert len(accepted) < 1000
    wait_until(lambda: all(line.rows(each) for each in accepted), 30, "all are audited")
    line.moogsoft.answer = lambda _: OK
    letters = line.dead("alerter")
    assert all("ALERTER_QUEUE_SHED_THRESHOLD=10" in letter["reason"] for letter in letters)
    shed = {letter["payload"]["event_id"] for letter in letters}
    assert len(shed) == len(letters)
    for each in accepted:
        if each not in shed:
            line.wait_delivered(each)
    assert not [each for each in shed if line.delivered(each)]
    line.good_event_passes()


def test_without_redis_the_answer_is_503_and_all_goes_on_when_it_is_back(line: Line) -> None:
    before = line.appliance.children()
    line.redis_server.kill()
    answer = line.post(event(event_id=new_id("away")))
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "7"
    assert "Redis" in answer.body["error"]
    line.redis_server.start()
    line.good_event_passes()
    assert line.appliance.children() == before


def test_a_redis_that_is_silent_is_503_in_time_and_what_it_took_is_not_taken_twice(line: Line) -> None:
    event_id = new_id("silent")
    line.redis_server.pause()
    started = time.monotonic()
    answer = line.post(event(event_id=event_id))
    assert answer.status == 503
    assert time.monotonic() - started < 10
    line.redis_server.resume()
    wait_until(lambda: line.post(event(event_id=event_id)).status == 200, 15, "taken in")
    line.wait_delivered(event_id)
    line.good_event_passes()
    assert len(line.rows(event_id)) == 1


def test_without_postgres_events_wait_and_are_handled_when_it_is_back(line: Line) -> None:
    before = line.appliance.children()
    ids, bodies = events("waiting", 20)
    line.postgres.stop()
    try:
        assert line.post(bodies).status == 200
        line.appliance.wait_for_log("database is away, events wait")
    finally:
        line.postgres.start()
    for each in ids:
        line.wait_delivered(each)
        assert len(line.rows(each)) == 1
    assert line.appliance.children() == before


def test_a_sighup_while_postgres_is_away_keeps_the_rules_and_is_made_up_for(line: Line) -> None:
    line.postgres.stop()
    try:
        line.appliance.signal(signal.SIGHUP)
        line.appliance.wait_for_log("rules not loaded")
        add_later = rule("LATER", "Log_only")
    finally:
        line.postgres.start()
    line.good_event_passes()
    add_rules(line.postgres, line.database, [add_later])
    wait_until(
        lambda: line.appliance.logged("Cache reload complete", rules=2), 15, "loaded without being asked"
    )


def test_a_postgres_that_is_silent_costs_neither_a_process_nor_an_event(line: Line) -> None:
    before = line.appliance.children()
    told = len(line.appliance.logged("database is away, events wait"))
    ids, bodies = events("frozen", 20)
    line.postgres.pause()
    try:
        assert line.post(bodies).status == 200
        # A connection, or DB_STATEMENT_TIMEOUT and a little: the worker is not waiting any more, and goes on trying.
        line.appliance.wait_for_log("database is away, events wait", count=told + 1, timeout_secs=30)
    finally:
        line.postgres.resume()
    for each in ids:
        line.wait_delivered(each)
        assert len(line.rows(each)) == 1
    assert line.appliance.children() == before


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_an_alert_that_is_refused_for_good_is_a_dead_letter(line: Line, status: int) -> None:
    event_id = new_id("refused")
    line.moogsoft.answer = lambda _: Answer(status)
    line.post(event(event_id=event_id))
    letter = line.wait_for_dead("moog", event_id)
    assert letter["reason"] == f"http_{status}"
    assert letter["attempts"] == 1
    line.moogsoft.answer = lambda _: OK
    line.good_event_passes()
