"""The shards: all answer, and none beyond REDIS_SHARDS holds anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.shards import BlockingShard, blocking_shards, is_empty, known_shards


@dataclass(frozen=True)
class ShardFacts:
    """What was seen of a shard; `trouble` when it did not answer."""

    number: int
    holds_something: bool = False
    trouble: str = ""


def check_shards(patient: Patient) -> Iterator[Finding]:
    """The shards of the configuration and those that home knows of. Without home there is nothing to say."""
    if patient.settings.embedded and patient.down:
        return
    shards = blocking_shards(patient.hurried, patient.secrets, "ctl-doctor")
    try:
        shards.add(known_shards(shards.home))
        facts = [_look(shard) for shard in shards]
    except (RedisError, OSError):
        # The check of Redis says so.
        return
    finally:
        for shard in shards:
            shard.client.close()
    if len(facts) > 1:
        yield from judge_shards(facts, patient.settings.redis_shards)


def _look(shard: BlockingShard) -> ShardFacts:
    try:
        return ShardFacts(shard.number, not is_empty(shard))
    except (RedisError, OSError) as error:
        return ShardFacts(shard.number, trouble=str(error))


def judge_shards(facts: Sequence[ShardFacts], configured: int) -> Iterator[Finding]:
    """What is to be said of several shards."""
    silent = [f"shard {each.number}: {each.trouble}" for each in facts if each.trouble]
    yield Finding(
        "redis.shards",
        "error" if silent else "ok",
        f"{len(facts) - len(silent)} of {len(facts)} shards answer" + "".join(f"; {each}" for each in silent),
        "see which Redis has the shard (CLUSTER SLOTS): its hosts' events are refused until it answers"
        if silent
        else "",
    )
    left = [str(each.number) for each in facts if each.number >= configured and each.holds_something]
    if left:
        yield Finding(
            "redis.shards-left",
            "warning",
            f"REDIS_SHARDS={configured}, and shard {', '.join(left)} of before still holds events or letters",
            "nothing is lost: they are worked off; replay or discard their dead letters",
        )
