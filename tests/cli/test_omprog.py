from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.cli.omprog import (
    BEGIN,
    COMMIT,
    DEFER,
    LONGEST_ANSWER,
    OK,
    REMEMBER_LINES,
    REMEMBER_SECS,
    Conversation,
    DeliveryError,
    Pending,
    Unconfirmed,
    error_answer,
)


class Recorder:
    """Delivers into a list, or fails while told to."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.failing = False

    def __call__(self, lines: Sequence[bytes]) -> None:
        if self.failing:
            raise DeliveryError("no room\nat all")
        self.batches.append(list(lines))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_without_transactions_each_line_is_ok_only_when_it_is_delivered(recorder: Recorder) -> None:
    conversation = Conversation(recorder)
    assert conversation.answer(b"one") == OK
    recorder.failing = True
    assert conversation.answer(b"two") == "error: no room at all"
    recorder.failing = False
    assert conversation.answer(b"two") == OK
    assert recorder.batches == [[b"one"], [b"two"]]


def test_a_transaction_is_delivered_at_its_commit(recorder: Recorder) -> None:
    conversation = Conversation(recorder)
    assert conversation.answer(BEGIN) == OK
    assert [conversation.answer(line) for line in (b"one", b"two")] == [DEFER, DEFER]
    assert recorder.batches == []
    assert conversation.answer(COMMIT) == OK
    assert recorder.batches == [[b"one", b"two"]]


def test_a_failed_delivery_fails_the_commit_and_never_a_message(recorder: Recorder) -> None:
    conversation = Conversation(recorder)
    recorder.failing = True
    answers = [conversation.answer(line) for line in (BEGIN, b"one", b"two", COMMIT)]
    assert answers == [OK, DEFER, DEFER, "error: no room at all"]
    recorder.failing = False
    answers = [conversation.answer(line) for line in (BEGIN, b"one", b"two", COMMIT)]
    assert answers == [OK, DEFER, DEFER, OK]
    assert recorder.batches == [[b"one", b"two"]]


def test_messages_of_a_transaction_that_was_never_committed_are_not_lost(recorder: Recorder) -> None:
    conversation = Conversation(recorder)
    for line in (BEGIN, b"one", BEGIN, b"two", COMMIT):
        conversation.answer(line)
    assert recorder.batches == [[b"one", b"two"]]


def test_an_empty_transaction_is_ok(recorder: Recorder) -> None:
    conversation = Conversation(recorder)
    recorder.failing = True
    assert [conversation.answer(line) for line in (BEGIN, COMMIT)] == [OK, OK]


@given(st.text())
def test_an_error_is_one_short_line_that_rsyslog_cannot_take_for_consent(text: str) -> None:
    answer = error_answer(text)
    assert "\n" not in answer
    assert "\r" not in answer
    assert len(answer) <= LONGEST_ANSWER
    assert answer not in (OK, DEFER, "PREVIOUS_COMMITTED")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def numbered_bodies() -> Unconfirmed:
    numbers = count()
    return Unconfirmed(lambda line: line + b"#%d" % next(numbers), Clock())


def test_a_line_sent_again_is_the_same_event() -> None:
    unconfirmed = numbered_bodies()
    first = [each.body for each in unconfirmed.take([b"a", b"b"])]
    assert [each.body for each in unconfirmed.take([b"a", b"b"])] == first


def test_equal_lines_in_one_batch_are_different_events() -> None:
    unconfirmed = numbered_bodies()
    first = [each.body for each in unconfirmed.take([b"a", b"a"])]
    assert first == [b"a#0", b"a#1"]
    assert [each.body for each in unconfirmed.take([b"a", b"a", b"a"])] == [b"a#0", b"a#1", b"a#2"]


def test_after_it_was_confirmed_an_equal_line_is_a_new_event() -> None:
    unconfirmed = numbered_bodies()
    unconfirmed.confirm(unconfirmed.take([b"a", b"a"]))
    assert len(unconfirmed) == 0
    assert [each.body for each in unconfirmed.take([b"a"])] == [b"a#2"]


def test_a_repetition_in_smaller_parts_keeps_every_event() -> None:
    unconfirmed = numbered_bodies()
    unconfirmed.take([b"a", b"b", b"c"])
    unconfirmed.confirm(unconfirmed.take([b"a"]))
    assert [each.body for each in unconfirmed.take([b"b", b"c"])] == [b"b#1", b"c#2"]


def test_what_arrived_and_never_came_again_is_forgotten() -> None:
    clock = Clock()
    unconfirmed = Unconfirmed(lambda line: line, clock)
    arrived, lost = unconfirmed.take([b"arrived", b"lost"])
    arrived.delivered = True
    clock.now = REMEMBER_SECS + 1
    unconfirmed.take([])
    assert unconfirmed.undelivered() == [lost]
    assert len(unconfirmed) == 1


def test_no_more_than_so_many_delivered_lines_are_remembered() -> None:
    unconfirmed = Unconfirmed(lambda line: line, Clock())
    for pending in unconfirmed.take([b"%d" % number for number in range(REMEMBER_LINES + 10)]):
        pending.delivered = True
    unconfirmed.take([])
    assert len(unconfirmed) == REMEMBER_LINES


def test_what_did_not_arrive_is_kept_in_its_order_until_it_does() -> None:
    unconfirmed = numbered_bodies()
    first = unconfirmed.take([b"a", b"b"])
    second = unconfirmed.take([b"c"])
    assert unconfirmed.undelivered() == [*first, *second]
    first[0].delivered = True
    unconfirmed.confirm(second)
    assert unconfirmed.undelivered() == [first[1]]


def test_a_restored_event_is_known_when_rsyslog_sends_it_again() -> None:
    unconfirmed = numbered_bodies()
    unconfirmed.restore([Pending(b"a", b"of the last run", 0.0)])
    assert [each.body for each in unconfirmed.take([b"a", b"a"])] == [b"of the last run", b"a#0"]
