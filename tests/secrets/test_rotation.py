"""Whether the old value of a secret may go; on made-up uses and times."""

from __future__ import annotations

from typing import Any

import pytest

from mutt_appliance.secrets.bundle import NAMES
from mutt_appliance.secrets.caller_keys import CallerKeys
from mutt_appliance.secrets.rotation import Rotation, rotations

NOW = 1_000_000.0
QUIET_SECS = 600.0
USED, LAST, IN_USE = (
    "mutt_secrets_used_total",
    "mutt_secrets_last_used_timestamp_seconds",
    "mutt_secrets_in_use",
)


def entry(metric: str, secret: str, which: str, value: float, process: str = "ingestor:0") -> dict[str, Any]:
    return {"metric": metric, "secret": secret, "which": which, "value": value, "process": process}


def judged(secret: str, *used: dict[str, Any], uptime_secs: float = 86400.0, two: bool = True) -> Rotation:
    known = {name: {"current": name == secret, "next": two and name == secret} for name in NAMES}
    document = {"now": NOW, "uptime_secs": uptime_secs, "known": known, "used": list(used)}
    return {one.name: one for one in rotations(document, QUIET_SECS)}[secret]


def last(which: str, ago_secs: float, process: str = "ingestor:0") -> dict[str, Any]:
    return entry(LAST, "ingest_api_key", which, NOW - ago_secs, process)


def test_one_value_is_no_rotation() -> None:
    one = judged("ingest_api_key", last("current", 1), two=False)
    assert (one.state, one.done) == ("steady", True)


def test_a_key_that_callers_still_give_stays() -> None:
    one = judged("ingest_api_key", last("current", 30), last("next", 1))
    assert (one.state, one.done) == ("rotating", False)
    assert "used 30 s ago" in one.advice


def test_a_key_that_one_of_several_processes_still_sees_stays() -> None:
    one = judged("ingest_api_key", last("current", 9000), last("current", 5, "ingestor:1"), last("next", 1))
    assert not one.done


def test_a_key_that_nobody_gave_for_long_enough_may_go() -> None:
    one = judged("ingest_api_key", last("current", 601), last("next", 1))
    assert one.done
    assert "nobody has used the old value for 601 s" in one.advice


def test_silence_since_a_start_a_moment_ago_says_nothing() -> None:
    one = judged("ingest_api_key", last("next", 1), uptime_secs=60)
    assert not one.done
    assert "wait until" in one.advice


def test_a_next_key_that_nobody_gave_yet_means_that_the_callers_do_not_have_it() -> None:
    assert "nobody has used the next value yet" in judged("ingest_api_key", last("current", 9000)).advice


@pytest.mark.parametrize(
    ("current", "following", "done", "words"),
    [
        (["alerter:0"], ["webui:0"], False, "the old value opened the last connection of alerter:0"),
        ([], ["alerter:0", "webui:0"], True, "alerter:0, webui:0"),
        ([], [], False, "no process has used"),
    ],
)
def test_a_password_of_our_own_may_go_when_no_process_uses_it(
    current: list[str], following: list[str], done: bool, words: str
) -> None:
    used = [entry(IN_USE, "db_pass", "current", 1, name) for name in current]
    used += [entry(IN_USE, "db_pass", "next", 1, name) for name in following]
    one = judged("db_pass", *used, entry(IN_USE, "redis_pass", "current", 1))
    assert (one.done, words in one.advice) == (done, True)


@pytest.mark.parametrize(
    ("current", "following", "given", "which"),
    [
        ("a", "b", "a", "current"),
        ("a", "b", "b", "next"),
        ("a", "b", "c", None),
        ("a", "", "a", "current"),
        ("a", "", "", None),
        ("", "", "", None),
        ("", "b", "b", "next"),
        ("schlüssel", "", "schlüssel", "current"),
        ("a", "a", "a", "current"),
    ],
)
def test_callers_may_give_either_key_and_never_an_empty_one(
    current: str, following: str, given: str, which: str | None
) -> None:
    assert CallerKeys(current, following).which(given) == which
