"""A setting that is changed in one place is in force everywhere within a second, also for who could not listen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.ha.test_two_appliances import add_appliance
from tests.support.appliance import REPOSITORY, Appliance
from tests.support.pipeline import Pipeline
from tests.support.servers import PostgresServer
from tests.support.waiting import wait_until

WITHIN_SECS = 1.0
# Two processes of each pool, so that one of them can be told from the other.
WORKERS = {"ALERTER_WORKERS": "2", "FORWARDER_WORKERS": "2"}
PORTS = {"alerter": "METRICS_PORT_ALERTER", "forwarder": "METRICS_PORT_MOOG", "webui": "SERVER_PORT_WEBUI"}
EXPECTED = {"alerter-0", "alerter-1", "forwarder-0", "forwarder-1", "webui-0"}


@pytest.fixture
def postgres(stack: ExitStack) -> PostgresServer:
    server = PostgresServer()
    stack.callback(server.close)
    server.start()
    return server


def in_force(appliance: Appliance, setting: str) -> dict[str, float]:
    """The value of a setting in each process, as its metrics tell."""
    found = {}
    for port in PORTS.values():
        with urllib.request.urlopen(appliance.url("/metrics", port), timeout=5) as answer:  # noqa: S310
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "mutt_setting" and sample.labels["name"] == setting:
                    found[sample.labels["pid"]] = sample.value
    return found


def everywhere(
    pipeline: Pipeline, setting: str, value: float, but: tuple[Appliance, str] | None = None
) -> bool:
    """True when every process has `value`, but for one of one appliance."""
    for appliance in pipeline.appliances:
        values = in_force(appliance, setting)
        assert set(values) == EXPECTED
        if but is not None and but[0] is appliance:
            del values[but[1]]
        if set(values.values()) != {value}:
            return False
    return True


def ctl(appliance: Appliance, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mutt_appliance.cli.ctl", *words],
        env=appliance.env,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def secs_until_everywhere(
    pipeline: Pipeline, value: float, but: tuple[Appliance, str] | None = None
) -> float:
    began = time.monotonic()
    wait_until(lambda: everywhere(pipeline, "moog_rate_limit", value, but), 10, f"{value} in force", 0.02)
    return time.monotonic() - began


def test_also_for_a_process_that_was_frozen_and_one_that_heard_nothing(
    stack: ExitStack, pipeline: Pipeline, postgres: PostgresServer
) -> None:
    for _ in range(2):
        add_appliance(stack, pipeline, postgres, **WORKERS).start()
    for appliance in pipeline.appliances:
        appliance.wait_for_log("every process serves")
    first, second = pipeline.appliances

    # The command ends some time after the value is stored: measured is from its end.
    ctl(first, "config", "set", "moog_rate_limit", "777")
    told = secs_until_everywhere(pipeline, 777)

    frozen = second.children()["forwarder:1"]
    os.kill(frozen, signal.SIGSTOP)
    ctl(first, "config", "set", "moog_rate_limit", "888")
    others = secs_until_everywhere(pipeline, 888, but=(second, "forwarder-1"))
    assert in_force(second, "moog_rate_limit")["forwarder-1"] == 777
    # Long enough that the word of the change is long past.
    time.sleep(2)
    os.kill(frozen, signal.SIGCONT)
    woken = secs_until_everywhere(pipeline, 888)

    # Nobody is told: it is only stored.
    with pipeline.redis.client() as client:
        client.hset("mutt:config", "moog_rate_limit", '{"value":999,"version":9}')
    missed = secs_until_everywhere(pipeline, 999)
    print(f"\nin force after: told {told:.2f} s, beside a frozen one {others:.2f} s, woken {woken:.2f} s, "
          f"word missed {missed:.2f} s")  # fmt: skip
    assert max(told, others, woken, missed) < WITHIN_SECS
    history = postgres.execute(
        "SELECT entity_id, changed_by, after FROM config_audit_log ORDER BY id", first.env["DB_NAME"]
    )
    assert [entry[0] for entry in history] == ["moog_rate_limit", "moog_rate_limit"]
    assert all(str(entry[1]).startswith("mutt-ctl (") for entry in history)
