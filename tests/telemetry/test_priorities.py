"""Priorities of log lines, for the journal alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mutt_appliance.telemetry.priorities import stderr_is_journal, with_priority, without_priorities


@pytest.mark.parametrize(
    ("level", "mark"), [("critical", 2), ("error", 3), ("warning", 4), ("info", 6), ("debug", 7), ("?", 6)]
)
def test_each_line_has_the_priority_of_its_level(level: str, mark: int) -> None:
    assert with_priority(level, "one\ntwo") == f"<{mark}>one\n<{mark}>two"


def test_for_others_the_priorities_are_taken_away_and_nothing_else() -> None:
    assert (
        without_priorities(b'<3>{"a": "<4>"}\n<6>x <7>\nplain\n<8>\n') == b'{"a": "<4>"}\nx <7>\nplain\n<8>\n'
    )


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("wb") as stream:
        status = os.fstat(stream.fileno())
        there = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert stderr_is_journal(there, stream.fileno())
        inherited = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}
        assert not stderr_is_journal(inherited, stream.fileno())
        assert not stderr_is_journal({}, stream.fileno())
        assert not stderr_is_journal({"JOURNAL_STREAM": "nonsense"}, stream.fileno())
    assert not stderr_is_journal(there, 9999)
