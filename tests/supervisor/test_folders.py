"""Folders and their locks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.supervisor.folders import (
    hold,
    make_private_folder,
    make_runtime_folder,
    make_telemetry_folders,
)
from mutt_appliance.supervisor.pidfile import PidFile, running_pid
from mutt_appliance.supervisor.programs import ProgramError, run_as
from tests.support.waiting import wait_until


def test_health_and_metrics_of_the_run_before_are_gone(tmp_path: Path) -> None:
    settings = Settings(mutt_runtime_dir=tmp_path / "run")
    make_telemetry_folders(settings, ["alerter"])
    left = [tmp_path / "run/health/alerter-3.json", tmp_path / "run/metrics/alerter/counter_alerter-3.db"]
    for path in left:
        path.write_text("old")
    make_telemetry_folders(settings, ["alerter"])
    assert not any(path.exists() for path in left)
    assert left[1].parent.stat().st_mode & 0o777 == 0o750


def test_a_runtime_folder_that_cannot_be_made_is_a_configuration_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigError, match=f"MUTT_RUNTIME_DIR={tmp_path}/file/run: cannot be used: File exists"
    ):
        make_runtime_folder(Settings(mutt_runtime_dir=tmp_path / "file/run"))


def test_a_private_folder_takes_over_what_another_user_left(tmp_path: Path) -> None:
    owner = run_as(None)
    folder = tmp_path / "data"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_text("x")
    (folder / "link").symlink_to("/etc/passwd")
    make_private_folder(folder, owner)
    uid = os.geteuid() if owner.uid is None else owner.uid
    for path in (folder, folder / "below", folder / "below" / "file", folder / "link"):
        assert path.lstat().st_uid == uid
    assert Path("/etc/passwd").stat().st_uid == 0
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_lock_is_held_as_long_as_any_process_that_inherited_it_lives(tmp_path: Path) -> None:
    lock = tmp_path / "store.lock"
    descriptor = hold(lock)
    # The shell leaves a child of its own behind, as a server that is killed leaves its workers.
    server = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!"], pass_fds=[descriptor], stdout=subprocess.PIPE
    )
    os.close(descriptor)
    assert server.stdout is not None
    left_behind = int(server.stdout.readline())
    assert server.wait() == 0
    with pytest.raises(
        ProgramError, match=rf"is held by a server that still runs .* \(process {left_behind}\)"
    ):
        hold(lock)
    os.kill(left_behind, 9)
    server.stdout.close()

    def free() -> bool:
        try:
            os.close(hold(lock))
        except ProgramError:
            return False
        return True

    wait_until(free, 5, "the lock is free")


def test_the_pid_file_tells_who_runs_only_while_its_lock_is_held(tmp_path: Path) -> None:
    assert running_pid(tmp_path) is None
    pid_file = PidFile(tmp_path, "MUTT_RUNTIME_DIR")
    pid_file.acquire()
    assert running_pid(tmp_path) == os.getpid()
    with pytest.raises(ConfigError, match=f"already runs there .process {os.getpid()}"):
        PidFile(tmp_path, "MUTT_RUNTIME_DIR").acquire()
    pid_file.release()
    assert running_pid(tmp_path) is None


def test_a_pid_left_by_a_crash_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "mutt.pid").write_text("1\n")
    assert running_pid(tmp_path) is None
