"""What a worker writes reaches stderr and its log file, whole lines only."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutt_appliance.supervisor.log_file import LogFile
from mutt_appliance.supervisor.relay import CHUNK_BYTES, Relay


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as made:
        yield made


def test_whole_lines_are_passed_on_and_the_rest_when_it_ends(
    selector: selectors.BaseSelector, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = LogFile(tmp_path / "a.log")
    relay = Relay(selector, file)
    relay.far_end.sendall(b"one\ntw")
    relay.read()
    assert capfdbinary.readouterr().err == b"one\n"
    relay.far_end.sendall(b"o\nlast words")
    relay.close()
    assert capfdbinary.readouterr().err == b"two\nlast words\n"
    assert file.path.read_bytes() == b"one\ntwo\nlast words\n"
    assert not selector.get_map()


def test_a_line_without_end_is_cut(selector: selectors.BaseSelector, tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a.log")
    relay = Relay(selector, file)
    relay.far_end.setblocking(False)
    sent = 0
    while sent < 2 * CHUNK_BYTES:
        sent += relay.far_end.send(b"x" * 1000)
        relay.read()
    assert b"\n" in file.path.read_bytes()
    relay.close()


def test_what_a_worker_left_behind_does_not_hold_up_the_end(
    selector: selectors.BaseSelector, tmp_path: Path
) -> None:
    file = LogFile(tmp_path / "a.log")
    relay = Relay(selector, file)
    other: socket.socket = relay.far_end.dup()
    with other:
        other.sendall(b"still here\n")
        relay.close()
        assert file.path.read_bytes() == b"still here\n"
        assert not selector.get_map()
