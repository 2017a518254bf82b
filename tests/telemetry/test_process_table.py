"""The supervisor's table on its way to the metrics."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mutt_appliance.telemetry.health import STALE_AFTER_SECS, HealthBoard, health_folder
from mutt_appliance.telemetry.metrics import exposition
from mutt_appliance.telemetry.process_table import ProcessRow, ProcessTable, read_process_table

ROWS = [ProcessRow("alerter:0", True, 0), ProcessRow("webui:0", False, 12)]


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    health_folder(tmp_path).mkdir()
    return tmp_path


def test_what_is_read_is_what_was_shown_last(runtime: Path) -> None:
    assert read_process_table(runtime) == []
    table = ProcessTable(runtime)
    table.show(ROWS)
    assert read_process_table(runtime) == ROWS
    table.show(ROWS[1:])
    assert read_process_table(runtime) == ROWS[1:]


def test_nothing_is_written_while_nothing_changes(runtime: Path) -> None:
    table = ProcessTable(runtime)
    table.show(ROWS)
    (health_folder(runtime) / "supervisor.json").unlink()
    table.show(list(ROWS))
    assert read_process_table(runtime) == []


def test_a_folder_that_cannot_be_written_is_tried_again(runtime: Path) -> None:
    table = ProcessTable(runtime)
    health_folder(runtime).rmdir()
    table.show(ROWS)
    health_folder(runtime).mkdir()
    table.show(ROWS)
    assert read_process_table(runtime) == ROWS


def test_a_damaged_file_is_no_table(runtime: Path) -> None:
    (health_folder(runtime) / "supervisor.json").write_text('[{"name": "alerter:0"}]')
    assert read_process_table(runtime) == []


def test_a_silent_process_says_nothing_of_what_it_depends_on(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = HealthBoard(runtime, "alerter", 0)
    board.set("redis", True)
    board.publish()
    sample = b'mutt_component_up{component="redis",process="alerter:0"} 1.0'
    assert sample in exposition(runtime, "alerter")
    later = time.time() + STALE_AFTER_SECS + 1
    monkeypatch.setattr("mutt_appliance.telemetry.health.time.time", lambda: later)
    assert b"mutt_component_up{" not in exposition(runtime, "alerter")
