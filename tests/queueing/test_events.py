"""The ingest queue as the alerter sees it, on a real Redis."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
import redis

from mutt_appliance.queueing import events as events_module
from mutt_appliance.queueing.events import (
    SUSPECT_AFTER,
    EventQueue,
    Settlement,
    Shedding,
    UnhandledCount,
    UnhandledPolicy,
)
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.lease import LeaseLostError, NameTakenError
from tests.queueing.conftest import MakeWorker
from tests.support.waiting import wait_until

POLICY = UnhandledPolicy(threshold=100, expiry_secs=60)


def event(number: int) -> bytes:
    """An event that can be told from others."""
    fields = {"event_id": f"e{number}", "hostname": "r1", "message": f"m {number}", "correlation_id": "c"}
    return json.dumps(fields).encode()


def fill(client: redis.Redis, keys: KeySpace, count: int, first: int = 0) -> list[bytes]:
    """Queue `count` events; returns them oldest first."""
    events = [event(number) for number in range(first, first + count)]
    if events:
        client.lpush(keys.ingest_queue, *events)
    return events


def waiting(client: redis.Redis, keys: KeySpace) -> list[bytes]:
    """What is in the ingest queue, next to be consumed first."""
    return list(reversed(client.lrange(keys.ingest_queue, 0, -1)))  # type: ignore[arg-type]


def settle_all(queue: EventQueue, batch_size: int = 1000) -> list[bytes]:
    """Claim and settle until nothing is left; returns the items in the order they came."""
    seen: list[bytes] = []
    while items := queue.claim(batch_size).items:
        seen += items
        queue.settle(Settlement(len(items)), POLICY)
    return seen


def test_a_claim_takes_the_oldest_events_in_order(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 10)
    claim = worker().claim(4)
    assert claim.items == events[:4]
    assert waiting(client, keys) == events[4:]
    assert (claim.ingest_depth, claim.deaths) == (6, 0)


def test_a_batch_is_not_settled_by_a_master_that_has_the_one_before_on_the_list(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 6)
    queue = worker()
    queue.claim(3)
    before = {key: client.dump(key) or b"" for key in client.scan_iter()}
    queue.settle(Settlement(3, alerts=[b"first"]), POLICY)
    queue.claim(3)
    # A failover: the new master has heard of nothing since the first claim.
    client.flushall()
    for key, value in before.items():
        client.restore(key, 0, value)
    with pytest.raises(LeaseLostError):
        queue.settle(Settlement(3, alerts=[b"second"]), POLICY)
    assert client.llen(keys.alert_queue) == 0
    queue.register()
    assert settle_all(queue) == events


@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
def test_a_large_claim_keeps_the_order(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker, count: int
) -> None:
    events = fill(client, keys, count)
    queue = worker()
    assert queue.claim(2500).items == events
    assert queue.claim(2500).items == events


def test_large_events_make_small_batches(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = fill(client, keys, 10)
    monkeypatch.setattr(events_module, "BATCH_MOST_BYTES", 3 * len(events[0]))
    queue = worker()
    assert queue.claim(10).items == events[:3]
    # What is held counts, however often it is claimed again.
    assert queue.claim(10).items == events[:3]
    assert settle_all(queue) == events


def test_an_event_larger_than_a_batch_is_a_batch(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = fill(client, keys, 3)
    monkeypatch.setattr(events_module, "BATCH_MOST_BYTES", 1)
    queue = worker()
    assert queue.claim(10).items == events[:1]
    assert settle_all(queue) == events


def test_a_claim_whose_answer_was_lost_comes_again_with_what_is_new(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 5)
    queue = worker()
    queue.claim(3)
    assert queue.claim(4).items == events[:4]


def test_a_wait_claims_one_event_that_comes_with_the_next_claim(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    queue = worker()
    assert queue.wait(0.01) is False
    events = fill(client, keys, 3)
    assert queue.wait(1) is True
    assert queue.claim(10).items == events


def test_a_settlement_moves_everything_at_once(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    fill(client, keys, 3)
    queue = worker()
    queue.claim(3)
    settled = queue.settle(Settlement(3, alerts=[b"a1", b"a2"], dead=[b"d1"]), POLICY)
    assert (settled.alert_depth, settled.dead_depth, settled.shed, settled.triggered) == (2, 1, 0, 0)
    assert client.lrange(keys.alert_queue, 0, -1) == [b"a2", b"a1"]
    assert client.exists(keys.events.processing("w1")) == 0
    assert queue.claim(3).items == []


def test_thousands_of_alerts_in_one_settlement_keep_their_order(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    fill(client, keys, 1)
    queue = worker()
    queue.claim(1)
    alerts = [b"%d" % number for number in range(2500)]
    queue.settle(Settlement(1, alerts=alerts), POLICY)
    assert list(reversed(client.lrange(keys.alert_queue, 0, -1))) == alerts


def test_alerts_are_shed_to_the_dead_letters_when_the_alert_queue_is_deep(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    client.lpush(keys.alert_queue, *[b"x"] * 5)
    fill(client, keys, 1)
    queue = worker()
    queue.claim(1)
    settled = queue.settle(Settlement(1, alerts=[b'{"alert_id":"a"}']), POLICY, Shedding(5))
    assert (settled.shed, settled.alert_depth) == (1, 5)
    letter = json.loads(client.lindex(keys.events.dead, 0))  # type: ignore[arg-type]
    assert letter["payload"] == {"alert_id": "a"}
    assert "ALERTER_QUEUE_SHED_THRESHOLD=5" in letter["reason"]
    assert letter["failed_at"].endswith("Z")


def test_a_worker_that_slept_past_its_lease_cannot_settle(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 3)
    sleeper, other = worker("sleeper"), worker("other")
    sleeper.claim(3)
    client.pexpire(keys.events.heartbeat("sleeper"), 1)
    wait_until(lambda: other.dead_workers_recovered() == 3, message="the janitor gives the events back")
    with pytest.raises(LeaseLostError):
        sleeper.settle(Settlement(3, alerts=[b"must not appear"]), POLICY)
    assert client.llen(keys.alert_queue) == 0
    assert settle_all(other) == events


def test_a_lapsed_lease_is_lost_even_if_the_janitor_was_not_there_yet(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 2)
    sleeper = worker()
    sleeper.claim(2)
    client.pexpire(keys.events.heartbeat("w1"), 1)
    wait_until(lambda: client.exists(keys.events.heartbeat("w1")) == 0, message="the lease ends")
    assert sleeper.renew() is False
    with pytest.raises(LeaseLostError):
        sleeper.settle(Settlement(2), POLICY)
    with pytest.raises(LeaseLostError):
        sleeper.claim(2)
    assert sleeper.register() == 2
    assert settle_all(sleeper) == events


def test_the_janitor_leaves_the_living_alone(client: redis.Redis, keys: KeySpace, worker: MakeWorker) -> None:
    fill(client, keys, 2)
    one, other = worker("one"), worker("other")
    one.claim(2)
    assert other.dead_workers_recovered() == 0
    assert one.settle(Settlement(2), POLICY).dead_depth == 0


def test_a_lease_that_a_clock_set_back_made_longer_is_cut(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    worker("dead")
    for ask in (lambda: worker("w2").dead_workers_recovered(), lambda: worker("dead", run_id="run2")):
        client.pexpire(keys.events.heartbeat("dead"), 3_600_000)
        with suppress(NameTakenError):
            ask()
        assert 60_000 < int(client.pttl(keys.events.heartbeat("dead"))) <= 90_000


def test_recovered_events_go_back_to_the_end_they_came_from(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 6)
    one, other = worker("one"), worker("other")
    one.claim(3)
    client.delete(keys.events.heartbeat("one"))
    assert other.dead_workers_recovered() == 3
    assert waiting(client, keys) == events


def test_a_restarted_worker_of_the_same_run_takes_its_name_back_at_once(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 3)
    worker("w1", "run1").claim(3)
    assert settle_all(worker("w1", "run1")) == events


def test_a_name_in_use_by_another_appliance_is_refused(worker: MakeWorker) -> None:
    worker("w1", "run1")
    with pytest.raises(NameTakenError, match="POD_NAME"):
        worker("w1", "run2")


def test_signing_off_gives_back_what_is_held_and_leaves_no_key(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 3)
    queue = worker()
    queue.claim(2)
    queue.unregister()
    assert waiting(client, keys) == events
    assert client.keys("mutt:processing:*") == []
    assert client.keys("mutt:heartbeat:*") == []


def test_a_list_that_nobody_registered_is_found_and_given_back(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    client.lpush(keys.events.processing("of-an-older-version"), event(1))
    queue = worker()
    queue.adopt_unknown_lists()
    assert queue.dead_workers_recovered() == 1
    assert waiting(client, keys) == [event(1)]


def die(client: redis.Redis, keys: KeySpace, worker: MakeWorker, batch_size: int) -> int:
    """A worker claims and dies; returns the deaths that were known of what it claimed."""
    queue = worker("victim")
    deaths = queue.claim(batch_size).deaths
    client.delete(keys.events.heartbeat("victim"))
    worker("janitor").dead_workers_recovered()
    return deaths


def test_events_that_workers_died_with_are_claimed_alone(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 4)
    for _ in range(SUSPECT_AFTER):
        die(client, keys, worker, 3)
    queue = worker("survivor")
    claim = queue.claim(10)
    assert (claim.items, claim.deaths) == (events[:1], SUSPECT_AFTER)
    assert settle_all(queue) == events
    assert client.exists(keys.events.suspects) == 0


def test_a_suspect_that_a_wait_took_stays_alone(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    events = fill(client, keys, 2)
    for _ in range(SUSPECT_AFTER):
        die(client, keys, worker, 1)
    queue = worker("survivor")
    assert queue.wait(1)
    claim = queue.claim(10)
    assert (claim.items, claim.deaths) == (events[:1], SUSPECT_AFTER)


def test_only_an_event_that_kills_alone_is_condemned(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    fill(client, keys, 3)
    for _ in range(SUSPECT_AFTER):
        die(client, keys, worker, 3)
    assert [die(client, keys, worker, 3) for _ in range(3)] == [
        SUSPECT_AFTER,
        SUSPECT_AFTER + 1,
        SUSPECT_AFTER + 2,
    ]
    queue = worker("survivor")
    assert queue.claim(10).deaths == SUSPECT_AFTER + 3
    queue.settle(Settlement(1), POLICY)
    # Its neighbours were in the batches that died, but never alone.
    assert queue.claim(10).deaths == SUSPECT_AFTER


def count_unhandled(queue: EventQueue, amount: int, client: redis.Redis, keys: KeySpace) -> int:
    """One batch with `amount` events of one pattern; returns how many meta-events it made."""
    fill(client, keys, 2)
    items = queue.claim(2).items
    return queue.settle(
        Settlement(len(items), unhandled=[UnhandledCount("r1", "abc", amount, 1)]), POLICY
    ).triggered


def test_unhandled_events_make_one_meta_event_at_the_threshold(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    queue = worker()
    assert count_unhandled(queue, 60, client, keys) == 0
    assert client.get(keys.unhandled("r1", "abc")) == b"60"
    assert 0 < int(client.ttl(keys.unhandled("r1", "abc"))) <= POLICY.expiry_secs
    assert count_unhandled(queue, 60, client, keys) == 1
    meta = json.loads(waiting(client, keys)[0])
    assert meta["mutt_meta"] == {
        "kind": "unhandled",
        "count": 120,
        "threshold": 100,
        "counter": keys.unhandled("r1", "abc"),
    }
    assert (meta["event_id"], meta["hostname"], meta["message"]) == ("unhandled-e1", "r1", "m 1")
    client.delete(keys.ingest_queue)
    assert count_unhandled(queue, 500, client, keys) == 0
    assert client.get(keys.unhandled_triggered("r1", "abc")) == b"620"
    assert client.exists(keys.unhandled("r1", "abc")) == 0


def test_many_patterns_are_counted_in_one_settlement(
    client: redis.Redis, keys: KeySpace, worker: MakeWorker
) -> None:
    fill(client, keys, 1)
    queue = worker()
    queue.claim(1)
    counts = [UnhandledCount("r", f"{n:04d}", 100 if n % 500 == 0 else 1, 0) for n in range(2500)]
    assert queue.settle(Settlement(1, unhandled=counts), POLICY).triggered == 5
    assert client.get(keys.unhandled_triggered("r", "0500")) == b"100"
    assert client.get(keys.unhandled("r", "2499")) == b"1"


def test_all_keys_of_a_script_can_be_under_one_hash_tag(make_settings: object) -> None:
    tagged = KeySpace(make_settings(redis_hash_tag="mutt"))  # type: ignore[operator]
    names = [
        tagged.ingest_queue, tagged.alert_queue, tagged.retry, tagged.rate_limit, tagged.ingest_dead,
        tagged.events.processing("w"), tagged.events.heartbeat("w"), tagged.events.workers, tagged.events.suspects,
        tagged.alerts.dead, tagged.dedup(1), tagged.unhandled("h", "p"), tagged.unhandled_triggered("h", "p"),
    ]  # fmt: skip
    assert all(name.startswith("{mutt}mutt:") for name in names)
    assert len(set(names)) == len(names)
