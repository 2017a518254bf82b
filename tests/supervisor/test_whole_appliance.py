"""`mutt run` with its real roles."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request

import pytest

from tests.support.appliance import Appliance
from tests.support.servers import PostgresServer, RedisServer
from tests.support.waiting import wait_until

EVENT = {"timestamp": "2026-11-24T00:00:00Z", "hostname": "router-1", "message": "link is down"}
ROLES = ("ingestor:0", "alerter:0", "forwarder:0", "webui:0")


def post(appliance: Appliance) -> int:
    """Send one event; HTTP status of the answer."""
    request = urllib.request.Request(  # noqa: S310
        appliance.url(),
        data=json.dumps(EVENT).encode(),
        headers={"X-API-KEY": appliance.api_key, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_from_nothing_to_an_accepted_event_and_back_to_nothing() -> None:
    with Appliance() as appliance:
        appliance.start_and_wait()
        appliance.wait_for_log("every process serves")
        assert set(appliance.children()) == {*ROLES, "redis:0", "postgres:0"}
        assert post(appliance) in (200, 202)
        assert appliance.terminate() == 0
        assert appliance.leftovers() == []
        assert [line for line in appliance.log_lines() if line.get("level") == "error"] == []


def test_every_process_comes_back_from_sigkill() -> None:
    with Appliance() as appliance:
        appliance.start_and_wait()
        appliance.wait_for_log("every process serves")
        for name, pid in appliance.children().items():
            os.kill(pid, signal.SIGKILL)
            appliance.wait_for_log("process state", child=name, state="RUNNING", count=2)
        wait_until(lambda: post(appliance) in (200, 202), 20, "events are accepted again")


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_whole_appliance(signal_number: signal.Signals) -> None:
    with Appliance() as appliance:
        appliance.start_and_wait()
        appliance.wait_for_log("every process serves")
        appliance.processes()
        os.killpg(appliance.pid, signal_number)
        appliance.wait()
        wait_until(lambda: not appliance.leftovers(), 10, f"{appliance.leftovers()} are gone")


def test_events_are_accepted_while_postgres_is_away_and_all_serves_when_it_comes() -> None:
    redis, postgres = RedisServer(), PostgresServer()
    env = {"REDIS_HOST": redis.address, "DB_HOST": postgres.address}
    try:
        redis.start()
        with Appliance(env) as appliance:
            appliance.start()
            appliance.wait_for_log("process state", child="ingestor:0", state="RUNNING")
            assert post(appliance) in (200, 202)
            postgres.start()
            appliance.wait_for_log("every process serves", timeout_secs=60)
            assert set(appliance.children()) == set(ROLES)
            assert appliance.terminate() == 0
    finally:
        redis.close()
        postgres.close()
