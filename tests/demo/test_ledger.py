"""The ledger: it finds what is lost and what is counted twice, and nothing else."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from mutt_appliance.demo.ledger import (
    Account,
    Audited,
    DeadLetters,
    add_dead,
    counter_host,
    read_audited,
    read_dead,
    read_unhandled,
)
from mutt_appliance.demo.messages import HOSTNAMES
from mutt_appliance.demo.traffic import Sent
from mutt_appliance.queueing.dead_letter import dead_letter
from mutt_appliance.queueing.shards import blocking_shards
from mutt_appliance.store.pool import Database
from mutt_appliance.store.prepare import prepare_database
from tests.conftest import MakeSettings
from tests.support.children import TEST_SECRETS

ALERTS = frozenset({"a1", "a2", "a3"})


def account(**changes: Any) -> Account:
    """10 offered: 1 refused, 4 audited with 3 alerts, 5 unhandled; 2 alerts delivered, 1 dead."""
    values: dict[str, Any] = {
        "sent": Sent(offered=10, accepted=9, refused=1),
        "audited": Audited(rows=4, events=4, meta_events=0, forwarded=ALERTS),
        "unhandled": 5,
        "patterns": 2,
        "dead": DeadLetters(alerts={"a3"}),
        "delivered": frozenset({"a1", "a2"}),
        "deliveries": 2,
        "retried": 1,
    }
    return Account(**(values | changes))


def test_when_everything_is_somewhere_nothing_is_lost() -> None:
    assert account().well
    assert (account().lost_events, account().lost_alerts) == (0, 0)


def test_an_answered_event_that_is_nowhere_is_lost() -> None:
    missing = account(unhandled=4)
    assert missing.lost_events == 1
    assert not missing.well


def test_an_event_among_the_dead_letters_is_not_lost() -> None:
    assert account(unhandled=4, dead=DeadLetters(alerts={"a3"}, events=1)).well


def test_an_event_counted_twice_is_a_fault() -> None:
    twice = account(unhandled=6)
    assert twice.lost_events == -1
    assert not twice.well


def test_an_event_without_an_answer_may_be_there_or_not() -> None:
    sent = Sent(offered=11, accepted=9, refused=1)
    assert account(sent=sent, unhandled=5).well
    assert account(sent=sent, unhandled=6).well
    assert not account(sent=sent, unhandled=7).well


def test_an_alert_neither_delivered_nor_dead_is_lost() -> None:
    missing = account(delivered=frozenset({"a1"}))
    assert missing.lost_alerts == 1
    assert not missing.well


def test_alerts_of_others_do_not_make_up_for_lost_ones() -> None:
    assert account(delivered=frozenset({"a1", "b1", "b2"})).lost_alerts == 1


def test_what_still_waits_is_not_lost_but_not_well_either() -> None:
    waiting = account(delivered=frozenset({"a1"}), waiting_alerts=1)
    assert waiting.lost_alerts == 0
    assert not waiting.well


def test_a_second_row_of_one_event_is_a_fault() -> None:
    assert not account(audited=Audited(rows=5, events=4, meta_events=0, forwarded=ALERTS)).well


def test_dead_letters_of_alerts_and_of_events_are_told_apart() -> None:
    dead = DeadLetters()
    letters = [
        dead_letter(json.dumps({"event_id": "demo-r-1", "alert_id": "a1"}), "http_404", 1, "moog"),
        dead_letter(json.dumps({"event_id": "unhandled-demo-r-2", "alert_id": "a2"}), "http_404", 1, "moog"),
        dead_letter(json.dumps({"event_id": "demo-r-3"}), "audit log: no", 1, "alerter"),
        dead_letter(json.dumps({"event_id": "demo-other-1", "alert_id": "b1"}), "http_404", 1, "moog"),
        dead_letter("not JSON", "not an event", 1, "alerter"),
    ]
    add_dead(dead, (letter.decode() for letter in letters), "demo-r-")
    assert dead.alerts == {"a1", "a2"}
    assert dead.events == 1
    assert dead.reasons == {"http_404": 2, "audit log: no": 1}


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("mutt:unhandled:web-01:0011223344556677", "web-01"),
        ("mutt:unhandled:triggered:web-01:0011223344556677", "web-01"),
        ("mutt:unhandled:2001:db8::1:0011223344556677", "2001:db8::1"),
    ],
)
def test_the_host_of_a_counter_is_read_out_of_its_name(name: str, host: str) -> None:
    assert counter_host(name, "mutt:unhandled") == host


def test_unhandled_events_are_summed_over_counters_before_and_after_their_meta_alert(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(redis_hash_tag="demo", redis_shards=2)
    ours, theirs = sorted(HOSTNAMES)[:2]
    home, other = shards = blocking_shards(settings, TEST_SECRETS, "test")
    home.client.set(home.keys.unhandled_triggered(ours, "p1"), 50)
    home.client.set(home.keys.unhandled(ours, "p1"), 3)
    other.client.set(other.keys.unhandled(theirs, "p2"), 4)
    other.client.set(other.keys.unhandled("someone-else", "p1"), 99)
    counts = read_unhandled(shards)
    assert counts.total() == 57
    assert len(counts) == 2


def test_dead_letters_are_read_from_both_queues(make_settings: MakeSettings) -> None:
    home, other = shards = blocking_shards(make_settings(redis_shards=2), TEST_SECRETS, "test")
    event = json.dumps({"event_id": "demo-r-1"})
    alert = json.dumps({"event_id": "demo-r-2", "alert_id": "a1"})
    home.client.lpush(home.keys.events.dead, dead_letter(event, "poison", 1, "alerter"))
    other.client.lpush(other.keys.alerts.dead, dead_letter(alert, "http_404", 1, "moog"))
    dead = read_dead(shards, "demo-r-")
    assert (dead.alerts, dead.events) == ({"a1"}, 1)


def test_the_audit_log_is_counted_by_the_prefix_of_the_run(make_settings: MakeSettings) -> None:
    settings = make_settings()
    prepare_database(settings, TEST_SECRETS, "test", patience_secs=10, stop=threading.Event())
    database = Database(settings, TEST_SECRETS, "test")
    rows = [
        ("demo-r-1", "a1", True),
        ("demo-r-2", None, False),
        ("unhandled-demo-r-2", "a2", True),
        ("demo-other-1", "b1", True),
    ]
    with database.connection() as conn, conn.cursor() as cursor:
        for event_id, alert_id, forwarded in rows:
            cursor.execute(
                "INSERT INTO event_audit_log (event_id, received_at, hostname, message, handling, environment, "
                "alert_id, forwarded, raw_event) VALUES (%s, now(), 'h', 'm', 'Log_only', 'prod', %s, %s, '{}')",
                (event_id, alert_id, forwarded),
            )
    audited = read_audited(database, "demo-r-")
    database.close()
    assert audited == Audited(rows=2, events=2, meta_events=1, forwarded=frozenset({"a1", "a2"}))
