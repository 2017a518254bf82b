"""From item to request, from result to outcome."""

from __future__ import annotations

import json

import orjson
import pytest

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.jobs import Job, body_of, outcome_of, prepare
from mutt_appliance.forwarder.retry import RetryPolicy, Verdict
from mutt_appliance.queueing.alerts import Outcome
from tests.forwarder.conftest import alert

LAM = Settings()
CLOUD = Settings(moog_format="cloud")
POLICY = RetryPolicy(max_retries=2, base_delay_secs=1.0, max_delay_secs=60.0)
AGAIN = Verdict("retry", "http_503")


def job_for(settings: Settings = LAM, **fields: object) -> Job:
    job = prepare(orjson.dumps(alert(1, **fields)), settings)
    assert isinstance(job, Job)
    return job


@pytest.mark.parametrize("item", [b"", b"{", b"[1]", b'"text"', b"null", b"\xff\xfe", b"NaN", b"[" * 5000])
def test_an_item_that_is_no_object_is_a_dead_letter(item: bytes) -> None:
    outcome = prepare(item, LAM)
    assert isinstance(outcome, Outcome)
    assert outcome.kind == "dead"
    letter = json.loads(outcome.onward)
    assert letter["reason"].startswith("not a JSON object")
    assert letter["attempts"] == 0


def test_a_lam_body_is_one_object_and_a_cloud_body_an_array() -> None:
    assert json.loads(body_of([job_for()], LAM))["external_id"] == "alert-1"
    assert [e["tags"]["alert_id"] for e in json.loads(body_of([job_for(CLOUD)] * 2, CLOUD))] == [
        "alert-1"
    ] * 2


def test_a_retry_counts_its_attempts_and_keeps_when_it_first_failed() -> None:
    first = outcome_of(job_for(), AGAIN, POLICY)
    assert (first.kind, first.delay_ms) == ("retry", 1000)
    again = prepare(first.onward, LAM)
    assert isinstance(again, Job)
    assert again.attempt == 2
    assert again.payload == job_for().payload
    second = outcome_of(again, Verdict("retry", "timeout"), POLICY)
    delivery, before = (json.loads(o.onward)["delivery"] for o in (second, first))
    assert delivery == {"attempts": 2, "first_failed_at": before["first_failed_at"], "last_error": "timeout"}
    assert second.delay_ms == 2000


def test_the_last_retry_ends_as_a_dead_letter_with_reason_attempts_and_the_alert() -> None:
    outcome = outcome_of(job_for(delivery={"attempts": 2}), AGAIN, POLICY)
    letter = json.loads(outcome.onward)
    assert outcome.kind == "dead"
    assert letter["reason"] == "http_503, 3 attempts (MOOG_MAX_RETRIES=2)"
    assert letter["attempts"] == 3
    assert letter["source"] == "moog"
    assert letter["payload"]["alert_id"] == "alert-1"


@pytest.mark.parametrize("delivery", [None, [], {"attempts": "9"}, {"attempts": -4}, {"attempts": True}, "x"])
def test_nonsense_about_earlier_deliveries_counts_as_none(delivery: object) -> None:
    assert job_for(delivery=delivery).attempt == 1


def test_an_alert_nested_too_deeply_to_be_written_again_dies_instead_of_its_retry() -> None:
    # orjson reads deeper than it writes.
    job = prepare(b'{"event":{"x":' + b"[" * 300 + b"]" * 300 + b"}}", LAM)
    assert isinstance(job, Job)
    outcome = outcome_of(job, AGAIN, POLICY)
    assert outcome.kind == "dead"
    assert "cannot be kept for a retry" in json.loads(outcome.onward)["reason"]


@pytest.mark.parametrize("depth", range(250, 258))
def test_a_dead_letter_can_be_written_at_any_depth(depth: int) -> None:
    item = b'{"event":' + b"[" * depth + b"]" * depth + b"}"
    job = prepare(item, LAM)
    assert isinstance(job, Job)
    assert json.loads(outcome_of(job, Verdict("dead", "http_404"), POLICY).onward)["payload"]
