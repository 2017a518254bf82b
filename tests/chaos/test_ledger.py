"""The ledger itself: books that balance are silent, and each way to lose or double something is named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.support.ledger import AuditEntry, Books, DeadLetter, faults
from tests.support.load import HOSTS_WITH_IDS, HOSTS_WITHOUT_IDS, Offered

PAGED = Offered("1", "paged", "router-1", "sent-1", answered=True, unknown=3)
LOGGED = Offered("2", "logged", "router-1", None, answered=True)
UNSURE = Offered("3", "logged", "router-1", None, answered=True, unknown=1)
KNOWN = Offered("4", "unmatched", HOSTS_WITH_IDS[0], "sent-4", answered=True, unknown=2)
FRESH = Offered("5", "unmatched", HOSTS_WITHOUT_IDS[0], None, answered=True, unknown=1)
PAGED_ROW = AuditEntry("sent-1", "1", True, "alert-1", False, "Page_and_ticket")
LOGGED_ROW = AuditEntry("made-2", "2", False, None, False, "Log_only")
UNSURE_ROW = AuditEntry("made-3", "3", False, None, False, "Log_only")
META_ROW = AuditEntry("unhandled-sent-4", None, True, "alert-4", True, "Ticket_only")


def books(**changes: object) -> Books:
    """Books that balance, but for `changes`."""
    good = Books(
        offered=[PAGED, LOGGED, UNSURE, KNOWN, FRESH],
        audit=[PAGED_ROW, LOGGED_ROW, UNSURE_ROW, META_ROW],
        unmatched=Counter({KNOWN.hostname: 1, FRESH.hostname: 1}),
        triggered=1,
        delivered=Counter({"alert-1": 1}),
        dead=[DeadLetter("moog", "http_404", "alert-4")],
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def test_books_that_balance_have_no_faults() -> None:
    assert faults(books()) == []


def test_an_attempt_without_an_answer_may_have_been_taken_in_as_well() -> None:
    second = replace(UNSURE_ROW, event_id="made-3b")
    assert faults(books(audit=[PAGED_ROW, LOGGED_ROW, UNSURE_ROW, second, META_ROW])) == []
    assert faults(books(unmatched=Counter({KNOWN.hostname: 1, FRESH.hostname: 2}))) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"audit": [PAGED_ROW, UNSURE_ROW, META_ROW]}, "answered and not audited: 1 (2)"),
        (
            {"audit": [PAGED_ROW, LOGGED_ROW, replace(LOGGED_ROW, event_id="b"), UNSURE_ROW, META_ROW]},
            "audited too often: 1 (2 (2 times))",
        ),
        ({"audit": [PAGED_ROW, PAGED_ROW, LOGGED_ROW, UNSURE_ROW, META_ROW]}, "in more than one audit row"),
        (
            {"audit": [PAGED_ROW, LOGGED_ROW, UNSURE_ROW, META_ROW, replace(LOGGED_ROW, token="4")]},
            "not matched by any rule and audited",
        ),
        (
            {"audit": [PAGED_ROW, replace(LOGGED_ROW, handling="Suppress"), UNSURE_ROW, META_ROW]},
            "another way than its rule says: 1 (2 (Suppress))",
        ),
        ({"unmatched": Counter({KNOWN.hostname: 2, FRESH.hostname: 1})}, "2 unmatched events of known-0"),
        ({"unmatched": Counter({KNOWN.hostname: 1})}, "0 unmatched events of fresh-0"),
        ({"unmatched": Counter({KNOWN.hostname: 1, FRESH.hostname: 3})}, "3 unmatched events of fresh-0"),
        ({"triggered": 2}, "2 counters reached their threshold, 1 meta-alerts"),
        ({"delivered": Counter()}, "alerts neither delivered nor dead: 1 (alert-1)"),
        ({"delivered": Counter({"alert-1": 1, "x": 1})}, "delivered without an audit row: 1 (x)"),
        ({"dead": [DeadLetter("moog", "", "alert-4")]}, "dead letters without a reason"),
        (
            {
                "dead": [
                    DeadLetter("moog", "http_404", "alert-4"),
                    DeadLetter("alerter", "not an event", None),
                ]
            },
            "dead letters that are no alerts: 1 (not an event)",
        ),
        ({"held": {"mutt:alert_queue": 7}}, "mutt:alert_queue still holds 7 items"),
    ],
)
def test_what_does_not_balance_is_named(changes: dict[str, object], words: str) -> None:
    assert any(words in fault for fault in faults(books(**changes))), faults(books(**changes))


def test_after_a_step_back_of_redis_an_event_that_came_again_needs_one_whole_row_only() -> None:
    offered = [replace(UNSURE, kind="paged")]
    first = AuditEntry("made-3", "3", True, "alert-3", False, "Page_and_ticket")
    second = replace(first, event_id="made-3b", alert_id="alert-3b")
    stepped = books(
        offered=offered, audit=[first, second], unmatched=Counter(), triggered=0, dead=[], stepped_back=True
    )
    assert faults(replace(stepped, delivered=Counter({"alert-3b": 1}))) == []
    assert faults(replace(stepped, delivered=Counter())) == [
        "alerts neither delivered nor dead: 2 (alert-3, alert-3b)"
    ]


def test_after_a_step_back_an_id_may_be_audited_again_for_an_attempt_without_an_answer_only() -> None:
    again = replace(PAGED_ROW, event_id="sent-1")
    rows = [PAGED_ROW, again, LOGGED_ROW, UNSURE_ROW, META_ROW]
    assert faults(books(audit=rows, stepped_back=True)) == []
    never_unsure = replace(PAGED, unknown=0)
    offered = [never_unsure, LOGGED, UNSURE, KNOWN, FRESH]
    assert "audited too often: 1 (1 (2 times))" in faults(
        books(offered=offered, audit=rows, stepped_back=True)
    )
