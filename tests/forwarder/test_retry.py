"""What an answer means, and when the next attempt is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.forwarder.retry import (
    RETRY_AFTER_MAX_SECS,
    RetryPolicy,
    Verdict,
    delay_secs,
    judge_failure,
    judge_status,
    next_step,
    retry_after_secs,
)

NOW = datetime(2026, 11, 24, 2, 0, 0, tzinfo=UTC)
POLICY = RetryPolicy(max_retries=5, base_delay_secs=1.0, max_delay_secs=60.0)
policies = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 1000),
    base_delay_secs=st.floats(0.001, 3600),
    max_delay_secs=st.floats(3600, 86400),
)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_delivery(status: int) -> None:
    assert judge_status(status) == Verdict("done")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_later_is_tried_again(status: int) -> None:
    assert judge_status(status) == Verdict("retry", f"http_{status}")


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 405, 413, 422])
def test_every_other_3xx_and_4xx_is_final(status: int) -> None:
    assert judge_status(status) == Verdict("dead", f"http_{status}")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "timeout"),
        (aiohttp.ServerTimeoutError(), "timeout"),
        (aiohttp.ServerDisconnectedError(), "connection"),
        (ConnectionResetError(), "connection"),
        (aiohttp.ClientPayloadError(), "protocol"),
    ],
)
def test_no_answer_is_tried_again(error: Exception, reason: str) -> None:
    assert judge_failure(error) == Verdict("retry", reason)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("999999999", RETRY_AFTER_MAX_SECS),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=1), usegmt=True), RETRY_AFTER_MAX_SECS),
        ("-5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_of_at_most_an_hour(value: str | None, expected: float) -> None:
    assert retry_after_secs(value, NOW) == expected


@given(st.text())
def test_no_retry_after_value_raises_or_leaves_the_bounds(value: str) -> None:
    assert 0.0 <= retry_after_secs(value, NOW) <= RETRY_AFTER_MAX_SECS


def test_delays_double_from_one_second_to_sixty() -> None:
    assert [delay_secs(n, POLICY) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(policies, st.integers(1, 1001))
def test_delays_never_shrink_and_stay_between_base_and_longest(policy: RetryPolicy, attempts: int) -> None:
    first, second = delay_secs(attempts, policy), delay_secs(attempts + 1, policy)
    assert policy.base_delay_secs <= first <= second <= policy.max_delay_secs


@given(policies)
def test_an_alert_gets_exactly_one_attempt_and_its_retries(policy: RetryPolicy) -> None:
    failure = Verdict("retry", "http_503")
    kinds = [next_step(failure, n, policy).kind for n in range(1, policy.max_retries + 2)]
    assert kinds == ["retry"] * policy.max_retries + ["dead"]


def test_the_larger_of_own_delay_and_retry_after_counts() -> None:
    assert next_step(Verdict("retry", "http_429", wait_secs=30), 1, POLICY).delay_secs == 30
    assert next_step(Verdict("retry", "http_429", wait_secs=3), 5, POLICY).delay_secs == 16


def test_a_final_answer_is_not_tried_again() -> None:
    assert next_step(Verdict("dead", "http_404"), 1, POLICY).kind == "dead"


def test_the_reason_of_an_exhausted_alert_names_the_last_failure_and_the_setting() -> None:
    assert (
        next_step(Verdict("retry", "timeout"), 6, POLICY).reason == "timeout, 6 attempts (MOOG_MAX_RETRIES=5)"
    )
