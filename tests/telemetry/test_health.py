"""Health of a pool out of the files of its processes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mutt_appliance.telemetry.health import STALE_AFTER_SECS, HealthBoard, health_folder, pool_health


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    health_folder(tmp_path).mkdir()
    return tmp_path


def test_a_pool_is_well_when_each_of_its_processes_is(runtime: Path) -> None:
    boards = [HealthBoard(runtime, "alerter", index) for index in range(2)]
    for board in boards:
        board.set("redis", True)
        board.publish()
    assert pool_health(runtime, "alerter")[0] is True
    boards[1].set("database", False, "refused")
    boards[1].publish()
    well, document = pool_health(runtime, "alerter")
    assert (well, document["status"]) == (False, "degraded")
    assert document["processes"]["alerter:0"]["status"] == "ok"
    assert document["processes"]["alerter:1"]["components"]["database"] == {"ok": False, "detail": "refused"}


def test_a_process_that_cannot_write_says_so_once_and_when_it_can_again(tmp_path: Path) -> None:
    board = HealthBoard(tmp_path, "alerter", 0)
    with capture_logs() as lines:
        for _ in range(3):
            board.publish()
        health_folder(tmp_path).mkdir()
        board.publish()
    assert [line["event"] for line in lines] == [
        "health cannot be written: this process will look as if it did not respond",
        "health is written again",
    ]
    assert "No such file or directory" in lines[0]["error"]
    assert pool_health(tmp_path, "alerter")[0] is True


def test_a_process_that_stopped_writing_is_not_responding(runtime: Path) -> None:
    board = HealthBoard(runtime, "alerter", 0)
    board.set("redis", True)
    board.publish()
    well, document = pool_health(runtime, "alerter", time.time() + STALE_AFTER_SECS + 1)
    assert not well
    assert document["processes"]["alerter:0"]["status"] == "not responding"


def test_a_role_without_processes_is_down(runtime: Path) -> None:
    assert pool_health(runtime, "webui") == (False, {"status": "down", "role": "webui", "processes": {}})


def test_only_a_change_of_state_is_news(runtime: Path) -> None:
    board = HealthBoard(runtime, "alerter", 0)
    assert board.set("redis", False, "one")
    assert not board.set("redis", False, "another")
    assert board.set("redis", True)
    assert not board.set("redis", True)


def test_facts_are_published_beside_the_components(runtime: Path) -> None:
    board = HealthBoard(runtime, "alerter", 0)
    board.fact("rules", 3)
    board.publish()
    assert json.loads((health_folder(runtime) / "alerter-0.json").read_text())["rules"] == 3


def test_a_missing_folder_does_not_stop_the_work_and_is_made_up_for(tmp_path: Path) -> None:
    board = HealthBoard(tmp_path, "alerter", 0)
    board.set("redis", True)
    board.publish()
    health_folder(tmp_path).mkdir()
    board.publish()
    assert pool_health(tmp_path, "alerter")[0] is True
