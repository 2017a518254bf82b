"""Metrics in a runtime folder whose disk is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.small_disk import small_disk

# As a process of its own: without room in its file the kernel would end it.
MANY_METRICS = """
import sys
from pathlib import Path
from prometheus_client import Counter
from mutt_appliance.telemetry.metrics import enable_pool_metrics

enable_pool_metrics(Path(sys.argv[1]), "alerter", 0)
first = Counter("first", "First", registry=None)
print("made", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    Counter(f"further_{number}", "Further", registry=None).inc()
print("counted", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "says"), [(100, "counted"), (2000, "no room for metrics: No space left on device")]
)
def test_a_process_that_has_its_files_is_not_ended_when_the_disk_fills(
    tmp_path: Path, number: int, says: str
) -> None:
    with small_disk(tmp_path, 1) as disk:
        process = subprocess.Popen(
            [sys.executable, "-c", MANY_METRICS, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        disk.fill()
        output, _ = process.communicate("\n", timeout=30)
        assert says in output
        assert process.returncode >= 0


def test_a_process_that_starts_on_a_full_disk_says_what_is_wrong(tmp_path: Path) -> None:
    with small_disk(tmp_path, 1) as disk:
        disk.fill()
        done = subprocess.run(
            [sys.executable, "-c", MANY_METRICS, str(tmp_path), "0"],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 1
        assert "no room for metrics: No space left on device" in done.stderr
