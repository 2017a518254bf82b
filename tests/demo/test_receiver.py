"""The stand-in for Moogsoft: mostly yes, and four kinds of trouble."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from mutt_appliance.demo.receiver import Receiver, answer_to
from tests.support.waiting import free_port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver("the-key", 0)
    made.start()
    yield made
    made.stop()


def post(receiver: Receiver, alert_id: str, key: str = "the-key") -> int:
    body = json.dumps({"external_id": alert_id, "severity": 4}).encode()
    request = urllib.request.Request(receiver.url, body, {"X-API-KEY": key})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_all_kinds_of_trouble_come_and_most_answers_are_good() -> None:
    answers = [answer_to(number) for number in range(1, 1001)]
    kinds = Counter("hang" if a.hang_secs else str(a.status) for a in answers)
    assert kinds["200"] > 900
    assert all(kinds[kind] >= 10 for kind in ("404", "429", "503", "hang"))
    assert all(a.retry_after_secs for a in answers if a.status == 429)


def test_what_is_answered_with_200_is_delivered_once_per_alert(receiver: Receiver) -> None:
    assert [post(receiver, name) for name in ("a", "b", "a")] == [200, 200, 200]
    assert receiver.delivered == {"a", "b"}
    assert receiver.deliveries == 3
    assert [event["external_id"] for event in receiver.recent] == ["a", "b", "a"]


def test_what_gets_an_error_is_not_delivered(receiver: Receiver) -> None:
    statuses = {number: post(receiver, f"alert-{number}") for number in range(1, 30)}
    assert statuses[29] == 503
    assert "alert-29" not in receiver.delivered
    assert receiver.answers == {"200": 28, "503": 1}


def test_another_key_is_refused_and_counts_for_nothing(receiver: Receiver) -> None:
    assert post(receiver, "a", key="another") == 401
    assert receiver.delivered == set()
    assert receiver.requests == 0


def test_after_stop_the_port_is_free_again() -> None:
    port = free_port()
    for _ in range(2):
        receiver = Receiver("the-key", port)
        receiver.start()
        assert post(receiver, "a") == 200
        receiver.stop()


def test_a_receiver_that_never_started_can_be_stopped() -> None:
    Receiver("the-key", 0).stop()
