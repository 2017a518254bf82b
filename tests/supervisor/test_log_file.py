"""Log files of bounded size."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import pytest

from mutt_appliance.supervisor.log_file import LogFile, Tee, log_of


def test_a_full_file_becomes_the_one_before(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a.log", max_bytes=10)
    for line in (b"one\n", b"two\n", b"three\n"):
        file.write(line)
    assert (tmp_path / "a.log").read_bytes() == b"three\n"
    assert (tmp_path / "a.log.1").read_bytes() == b"one\ntwo\n"


def test_it_goes_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    LogFile(path).write(b"one\n")
    LogFile(path).write(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_device_in_its_place_keeps_its_mode() -> None:
    # A device of this test's own: a terminal.
    ours, theirs = os.openpty()
    device = Path(os.ttyname(theirs))
    device.chmod(0o622)
    LogFile(device).write(b"one\n")
    assert os.read(ours, 100) == b"one\r\n"
    assert device.stat().st_mode & 0o777 == 0o622
    os.close(theirs)
    os.close(ours)


def test_clear_empties_both_and_writing_goes_on(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a.log", max_bytes=6)
    for line in (b"one\n", b"two\n"):
        file.write(line)
    file.clear()
    assert list(tmp_path.iterdir()) == [tmp_path / "a.log"]
    file.write(b"new\n")
    assert file.path.read_bytes() == b"new\n"


def test_a_folder_that_is_not_there_is_no_error_and_is_used_once_it_is(tmp_path: Path) -> None:
    file = log_of(tmp_path / "run", "alerter:0")
    file.write(b"lost\n")
    (tmp_path / "run" / "logs").mkdir(parents=True)
    file.write(b"kept\n")
    assert (tmp_path / "run" / "logs" / "alerter-0.log").read_bytes() == b"kept\n"


@pytest.mark.parametrize("full", [False, True], ids=["nobody reads", "disk full"])
def test_a_tee_goes_on_when_stderr_takes_nothing(tmp_path: Path, full: bool) -> None:
    if full:
        writer = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, writer = os.pipe()
        os.close(reader)
    # As Python opens stderr.
    with contextlib.suppress(OSError), os.fdopen(writer, "w", buffering=1) as stream:
        tee = Tee(LogFile(tmp_path / "a.log"), stream)
        for _ in range(3):
            print("line", file=tee, flush=True)
    assert (tmp_path / "a.log").read_text() == "line\n" * 3


def test_a_tee_writes_to_both(tmp_path: Path) -> None:
    stream = io.StringIO()
    tee = Tee(LogFile(tmp_path / "a.log"), stream)
    tee.write("line \N{SNOWMAN}\n")
    tee.flush()
    assert stream.getvalue() == "line \N{SNOWMAN}\n"
    assert (tmp_path / "a.log").read_text(encoding="utf-8") == "line \N{SNOWMAN}\n"
    assert not tee.isatty()
