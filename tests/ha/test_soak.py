"""`make soak` for a minute: the same mechanics, too short to judge memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# Caches are still filling.
NOT_YET = ("memory grows", "descriptors", "threads")
ROLES = {"supervisor", "ingestor:0", "alerter:0", "forwarder:0", "webui:0"}


@pytest.mark.ha
def test_a_minute_at_half_of_the_capacity_has_no_unknown_key_and_no_refusal() -> None:
    command = [sys.executable, "-m", "bench.soak", "--minutes", "0.7", "--capacity-seconds", "10"]
    done = subprocess.run(
        [*command, "--sample-seconds", "1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.stdout, done.stderr
    sys.stdout.write(done.stdout)
    result = json.loads(done.stdout.splitlines()[-1])
    assert [fault for fault in result["faults"] if not any(word in fault for word in NOT_YET)] == []
    assert done.returncode == bool(result["faults"])
    assert result["processes"].keys() >= ROLES
    assert all(process["slope_mb_per_hour"] is not None for process in result["processes"].values())
    assert result["events_per_sec"] == pytest.approx(result["capacity_events_per_sec"] / 2, abs=1)
    # Every tenth event, and a meta-alert now and then for what no rule knows.
    assert 0.1 <= result["audit_rows"] / result["accepted"] < 0.12
    assert result["redis_keys"]["mutt:dedup:{n}"][1] >= 1
    assert done.stdout.count(" x reload") == 1
    assert "measuring the capacity" in done.stderr


@pytest.mark.ha
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_tells_what_is_known(number: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "bench.soak",
        "--minutes",
        "30",
        "--rate",
        "500",
        "--sample-seconds",
        "0.5",
    ]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "events/s" not in (line := process.stderr.readline()):
            assert line, "ended by itself"
        # Long enough for the next line of progress, which follows some samples.
        process.stderr.readline()
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    result = json.loads(out.splitlines()[-1])
    assert result["samples"] > 5
    assert process.returncode == bool(result["faults"])
