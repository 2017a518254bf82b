"""When a write counts as safe from a failover."""

from __future__ import annotations

from typing import Any

from mutt_appliance.queueing.replicas import DOUBT_SECS, ReplicaWatch


def info(*online: str, master: str = "m1", lost: tuple[str, ...] = ()) -> dict[str, Any]:
    """INFO replication of a master with replicas that follow, and some that do not."""
    states = [(each, "online") for each in online] + [(each, "wait_bgsave") for each in lost]
    replicas = {
        f"slave{number}": {"ip": address, "port": 6379, "state": state}
        for number, (address, state) in enumerate(states)
    }
    return {"role": "master", "master_replid": master, "slave_repl_offset": 7, **replicas}


def test_enough_acknowledgements_of_a_steady_master_are_safe() -> None:
    watch = ReplicaWatch(1)
    assert watch.fault(1, info("a", "b"), 0.0) == ""
    assert watch.fault(2, info("a", "b"), 1.0) == ""


def test_too_few_acknowledgements_are_not() -> None:
    assert "1 of REDIS_WAIT_REPLICAS=2" in ReplicaWatch(2).fault(1, info("a"), 0.0)


def test_a_replica_that_left_makes_all_writes_doubtful_for_a_while() -> None:
    watch = ReplicaWatch(1)
    watch.fault(2, info("a", "b"), 0.0)
    assert "left its master" in watch.fault(1, info("b"), 1.0)
    assert watch.doubt(1.0 + DOUBT_SECS / 2)
    assert watch.doubt(1.0 + DOUBT_SECS) == ""
    assert watch.fault(1, info("b"), 1.0 + DOUBT_SECS) == ""


def test_a_replica_that_has_to_copy_everything_has_left_as_well() -> None:
    watch = ReplicaWatch(1)
    watch.fault(2, info("a", "b"), 0.0)
    assert watch.fault(1, info("b", lost=("a",)), 1.0)


def test_a_new_master_starts_without_doubt() -> None:
    watch = ReplicaWatch(1)
    watch.fault(2, info("a", "b"), 0.0)
    watch.fault(1, info("b"), 1.0)
    watch.look(info("b", master="m2"), 2.0)
    assert watch.doubt(2.0) == ""
    assert watch.fault(1, info("b", master="m2"), 2.0) == ""


def test_a_replica_that_comes_makes_no_doubt() -> None:
    watch = ReplicaWatch(1)
    watch.fault(1, info("a"), 0.0)
    assert watch.fault(2, info("a", "b"), 1.0) == ""
