"""A Redis at its maxmemory takes no new event, and what is queued is worked off all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.support.line import Line, event, new_id
from tests.support.moogsoft import OK, Answer
from tests.support.waiting import wait_until

EVENTS = 200
FAST = {
    "ALERTER_JANITOR_TIMEOUT": "3",
    "ALERTER_HEARTBEAT_INTERVAL": "1",
    "MOOG_JANITOR_TIMEOUT": "3",
    "MOOG_HEARTBEAT_INTERVAL": "1",
    "MOOG_CIRCUIT_FAILURES": "3",
    "MOOG_CIRCUIT_PROBE_INTERVAL": "0.2",
    "BRPOPLPUSH_TIMEOUT": "1",
}


def fill(line: Line) -> None:
    """Have Redis full, and stay so however much of MUTT's is taken away."""
    line.redis.config_set("maxmemory", line.redis.info("memory")["used_memory"] // 2)


def components(line: Line) -> list[dict[str, Any]]:
    document = requests.get(line.appliance.url("/health"), timeout=10).json()
    return list(document["processes"]["ingestor:0"]["components"].values())


@pytest.mark.parametrize("shards", [1, 2])
def test_what_is_queued_is_worked_off_by_processes_that_start_only_now(
    start_line: Callable[..., Line], shards: int
) -> None:
    line = start_line(REDIS_SHARDS=str(shards), **FAST)
    ids = [new_id("full") for _ in range(EVENTS)]
    before = line.appliance.children()
    # The first attempts fail, so that the circuit opens and retries have to be kept.
    line.moogsoft.answer = lambda _: Answer(503)
    line.postgres.stop()
    try:
        bodies = [event(event_id=each, hostname=f"core-{place % 7}") for place, each in enumerate(ids)]
        assert line.post(bodies).status == 200
        fill(line)
        refused = line.post([event(event_id=new_id("late"), hostname=f"core-{n}") for n in range(7)])
        assert (refused.status, "Redis is full (maxmemory)" in refused.body["error"]) == (503, True)
        full = wait_until(lambda: [c for c in components(line) if "is full" in c["detail"]], 5, "health")
        assert not any(component["ok"] for component in full)
        for name in ("alerter:0", "forwarder:0"):
            os.kill(before[name], signal.SIGKILL)
        line.appliance.wait_for_log("process state", child="alerter:0", state="RUNNING", count=2)
        line.appliance.wait_for_log("process state", child="forwarder:0", state="RUNNING", count=2)
    finally:
        line.postgres.start()
    line.appliance.wait_for_log("circuit opened: Moogsoft is away, alerts wait")
    line.moogsoft.answer = lambda _: OK
    for each in ids:
        line.wait_delivered(each)
        assert len(line.rows(each)) == 1
    # Nobody took the full Redis for one that is away, or gave an alert up.
    assert not line.appliance.logged("redis is away, events wait")
    assert not line.appliance.logged("redis is away, alerts wait")
    assert line.dead("moog") == line.dead("alerter") == []
    line.redis.config_set("maxmemory", 0)
    wait_until(lambda: line.post(event(event_id=new_id("room"))).status == 200, 10, "there is room again")
    line.good_event_passes()
    wait_until(lambda: all(component["ok"] for component in components(line)), 5, "health")
