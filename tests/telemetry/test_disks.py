"""Free space: what is looked at, measured, and warned of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog

from mutt_appliance.config import Settings
from mutt_appliance.telemetry import disks
from mutt_appliance.telemetry.disks import DiskWatch, Space, kept_folders, space_of
from mutt_appliance.telemetry.metrics import AlerterMetrics, enable_pool_metrics, exposition

GIB = 1 << 30


def settings(folder: Path, **more: object) -> Settings:
    return Settings.model_validate({"mutt_data_dir": folder / "data", "mutt_runtime_dir": folder, **more})


def test_folders_with_data_on_this_machine_are_looked_at(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    assert kept_folders(settings(tmp_path)) == {"data": tmp_path / "data"}
    external = settings(tmp_path, db_host="db", audit_archive_dir=archive)
    assert kept_folders(external) == {"archive": archive, "dead letters": tmp_path / "data" / "dlq-archive"}
    elsewhere = settings(tmp_path, dlq_archive_dir=tmp_path / "letters")
    assert kept_folders(elsewhere) == {"data": tmp_path / "data", "dead letters": tmp_path / "letters"}


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    there = os.statvfs(tmp_path)
    assert space_of(tmp_path / "not" / "yet").size_bytes == there.f_blocks * there.f_frsize


def test_space_is_a_metric_by_path(tmp_path: Path) -> None:
    enable_pool_metrics(tmp_path, "alerter", 0)
    metrics = AlerterMetrics()
    DiskWatch(settings(tmp_path, audit_archive_dir=tmp_path / "archive"), metrics).look()
    shown = exposition(tmp_path, "alerter").decode()
    for folder in ("data", "archive"):
        for name in ("free", "size"):
            assert f'mutt_disk_{name}_bytes{{path="{tmp_path / folder}"}}' in shown


def test_a_disk_that_gets_full_is_told_once_an_hour_and_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable_pool_metrics(tmp_path, "alerter", 0)
    watch = DiskWatch(settings(tmp_path, disk_warn_free_percent=10), AlerterMetrics())
    free, now = [11 * GIB], [0.0]
    monkeypatch.setattr(disks, "space_of", lambda _: Space(100 * GIB, free[0]))
    monkeypatch.setattr("mutt_appliance.telemetry.disks.time.monotonic", lambda: now[0])
    told = []
    with structlog.testing.capture_logs() as lines:
        for gib, secs in ((11, 0), (9, 60), (9, 120), (8, 3700), (10, 3760), (9, 3820)):
            free[0], now[0] = gib * GIB, float(secs)
            watch.look()
            told.append([line["log_level"] for line in lines])
            lines.clear()
    assert told == [[], ["warning"], [], ["warning"], ["info"], ["warning"]]


def test_zero_turns_the_warning_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enable_pool_metrics(tmp_path, "alerter", 0)
    watch = DiskWatch(settings(tmp_path, disk_warn_free_percent=0), AlerterMetrics())
    monkeypatch.setattr(disks, "space_of", lambda _: Space(100 * GIB, 0))
    with structlog.testing.capture_logs() as lines:
        watch.look()
    assert lines == []
