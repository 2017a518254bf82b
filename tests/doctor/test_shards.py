"""What doctor says of shards."""

from __future__ import annotations

from mutt_appliance.config import Settings
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.doctor.shards import ShardFacts, check_shards, judge_shards
from mutt_appliance.queueing.shards import blocking_shards
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings


def test_one_shard_is_no_subject(make_settings: MakeSettings) -> None:
    assert list(check_shards(Patient(make_settings()))) == []


def test_what_an_earlier_configuration_left_is_a_warning(make_settings: MakeSettings) -> None:
    before: Settings = make_settings(redis_shards=3)
    home, _, last = blocking_shards(before, Secrets(), "test")
    home.client.zadd(home.keys.shards, {"0": 1, "1": 1, "2": 1})
    now = Patient(make_settings())
    assert [(each.id, each.status) for each in check_shards(now)] == [("redis.shards", "ok")]
    last.client.lpush(last.keys.alerts.dead, "a letter")
    _, left = check_shards(now)
    assert (left.id, left.status) == ("redis.shards-left", "warning")
    assert "shard 2 of before" in left.seen


def test_a_shard_that_does_not_answer_is_an_error_in_words() -> None:
    (finding,) = judge_shards([ShardFacts(0), ShardFacts(1, trouble="connection refused")], configured=2)
    assert finding.status == "error"
    assert finding.seen == "1 of 2 shards answer; shard 1: connection refused"
