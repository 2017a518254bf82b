"""Lines of server programs in our log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.supervisor.output import KEPT_LINES, LINE_MAX_BYTES, OutputReader, split_level

REDIS = "11111:M 24 Nov 2026 02:51:04.190"


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("LOG:  checkpoint starting", logging.DEBUG, "checkpoint starting"),
        ("ERROR:  duplicate key", logging.WARNING, "duplicate key"),
        ("FATAL:  out of disk", logging.WARNING, "FATAL:  out of disk"),
        (f"{REDIS} * Ready to accept connections", logging.DEBUG, "Ready to accept connections"),
        (f"{REDIS} # Server initialized", logging.DEBUG, "Server initialized"),
        (f"{REDIS} # Can't save: fork", logging.WARNING, "Can't save: fork"),
        ("creating subdirectories ... ok", logging.DEBUG, "creating subdirectories ... ok"),
    ],
)
def test_levels_of_servers_become_ours(line: str, level: int, text: str) -> None:
    assert split_level(line) == (level, text)


def feed(*chunks: bytes) -> list[str]:
    """Lines that a reader keeps of `chunks`, written one after another."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    reader = OutputReader("test:0", LogFile(Path(os.devnull) / "no-folder"))
    try:
        for chunk in chunks:
            os.write(theirs, chunk)
            assert reader.read(ours)
        os.close(theirs)
        assert not reader.read(ours)
    finally:
        os.close(ours)
    return list(reader.last_lines)


def test_lines_are_put_together_and_the_last_needs_no_end() -> None:
    assert feed(b"one\ntw", b"o\n\xff\nthree") == ["one", "two", "\N{REPLACEMENT CHARACTER}", "three"]


def test_only_the_last_lines_are_kept() -> None:
    assert feed(b"".join(b"line %d\n" % n for n in range(100)))[0] == f"line {100 - KEPT_LINES}"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    assert max(map(len, feed(b"x" * 40_000, b"y" * 10))) <= LINE_MAX_BYTES
