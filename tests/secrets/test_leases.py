"""When a token is renewed, replaced, and looked at."""

from __future__ import annotations

import random

import pytest

from mutt_appliance.secrets.leases import (
    BACKOFF_MAX_SECS,
    Step,
    Token,
    backoff_secs,
    look_again_secs,
    next_step,
)

HOUR = 3600.0


def token(ttl_secs: float, *, first_ttl_secs: float = 0.0, renewable: bool = True) -> Token:
    return Token(0.0, ttl_secs, first_ttl_secs or ttl_secs, renewable)


@pytest.mark.parametrize(
    ("held", "now", "step"),
    [
        (None, 0, Step.LOGIN),
        (token(32 * 24 * HOUR), 31 * 24 * HOUR, Step.KEEP),
        (token(32 * 24 * HOUR), 32 * 24 * HOUR - HOUR + 1, Step.RENEW),
        # Shorter than the threshold of an hour: in the middle of its life.
        (token(60), 29, Step.KEEP),
        (token(60), 30, Step.RENEW),
        (token(60), 60, Step.LOGIN),
        (token(60, renewable=False), 30, Step.LOGIN),
        # Cut short by max_ttl: the next one is due before this ends.
        (token(20, first_ttl_secs=60), 0, Step.LOGIN),
        (token(59, first_ttl_secs=60), 1, Step.KEEP),
        (token(0), 10**9, Step.KEEP),
    ],
)
def test_what_is_done_about_a_token(held: Token | None, now: float, step: Step) -> None:
    assert next_step(held, now, threshold_secs=HOUR) is step


@pytest.mark.parametrize(
    ("held", "now", "rest_secs"),
    [
        (token(32 * 24 * HOUR), 0, 300),
        (token(60), 0, 30),
        (token(60), 20, 10),
        # Due already, but Vault did not do it: not in a tight loop.
        (token(60), 45, 0.25),
        (token(0), 0, 300),
    ],
)
def test_the_interval_never_reaches_past_the_moment_a_token_is_due(
    held: Token, now: float, rest_secs: float
) -> None:
    assert look_again_secs(held, now, threshold_secs=HOUR, interval_secs=300) == rest_secs


def test_a_token_of_a_minute_with_a_max_ttl_of_three_is_never_without_a_successor() -> None:
    """Played through by the clock: every step is taken while the token still lives."""
    held: Token | None = None
    login_at = now = 0.0
    steps = []
    while now < 600:
        step = next_step(held, now, threshold_secs=HOUR)
        if held is not None:
            assert held.left_secs(now) > 0
        if step is Step.RENEW and held is not None:
            held = Token(now, min(60.0, login_at + 180 - now), 60.0, True)
            step = next_step(held, now, 0.0)
            steps.append(Step.RENEW)
        if step is Step.LOGIN:
            held, login_at = token(60), now
            held = Token(now, 60.0, 60.0, True)
            steps.append(Step.LOGIN)
        assert held is not None
        now += look_again_secs(held, now, threshold_secs=HOUR, interval_secs=300)
    assert steps.count(Step.LOGIN) == 4
    assert steps.count(Step.RENEW) > 3 * steps.count(Step.LOGIN)


def test_pauses_grow_up_to_a_longest_and_differ() -> None:
    pauses = [[backoff_secs(failures, random.Random(seed)) for failures in range(1, 40)] for seed in (1, 2)]
    assert pauses[0] != pauses[1]
    for row in pauses:
        assert 0.5 <= row[0] <= 1.0
        assert max(row) <= BACKOFF_MAX_SECS
        assert min(row[10:]) >= BACKOFF_MAX_SECS / 2
