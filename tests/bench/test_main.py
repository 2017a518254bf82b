"""The whole harness with tiny sizes, as `make bench` starts it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report import TARGETS

REPOSITORY = Path(__file__).resolve().parents[2]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m bench` with the smallest sizes; its folder must be gone afterwards."""
    command = [sys.executable, "-m", "bench", "--seconds", "0.3", "--rounds", "1", *options]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        out, err = process.communicate(timeout=200)
    assert not (REPOSITORY / "build" / "bench" / f"run-{process.pid}").exists()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("ingest-batch", {"ingest_batch_ratio"}),
        ("ingest-single", {"ingest_single_ratio"}),
        ("alerter", {"alerter_ratio"}),
        ("end-to-end", {"e2e_p50_ms", "e2e_p99_ms", "pss_idle_mb", "pss_loaded_mb"}),
    ],
)
def test_a_bench_measures_its_figures_and_leaves_nothing_behind(name: str, keys: set[str]) -> None:
    done = bench("--only", name, "--json-only")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {key for key, value in document.items() if value is not None} == keys
    assert all(document[key] > 0 for key in keys)


def test_the_web_ui_is_measured_with_as_many_rows_as_are_wanted() -> None:
    done = bench("--only", "webui", "--rows", "20000", "--json-only")
    assert done.returncode == 0, done.stderr
    measured = {key for key, value in json.loads(done.stdout).items() if value is not None}
    assert measured == {key for key in TARGETS if key.startswith("webui_")}


def test_sizes_are_of_every_place_where_an_event_lies() -> None:
    done = bench("--only", "sizes")
    assert done.returncode == 0, done.stderr
    figures = dict(re.findall(r"^(an? .+?)  +([\d,]+) bytes", done.stdout, re.MULTILINE))
    assert len(figures) == 7
    assert all(50 < int(size.replace(",", "")) < 3000 for size in figures.values()), figures


def test_the_last_line_is_json_and_a_table_stands_before_it() -> None:
    done = bench("--only", "ingest-single")
    *lines, last = done.stdout.splitlines()
    assert json.loads(last)["alerter_ratio"] is None
    assert lines[0].split() == ["figure", "reference", "ratio", "target", "reached"]
    assert "ingest-single: round 1 of 1" in done.stderr


def test_an_unknown_bench_is_refused_with_the_names_there_are() -> None:
    done = bench("--only", "everything")
    assert done.returncode == 2
    assert "ingest-batch" in done.stderr
