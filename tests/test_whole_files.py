"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutt_appliance.whole_files import whole_file


def test_a_file_has_its_name_when_it_is_complete_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    with whole_file(path) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert [each.name for each in tmp_path.iterdir()] == ["backup"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    path.write_bytes(b"the last one")
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write(b"half of it" * (1 // 0))
    assert path.read_bytes() == b"the last one"
    assert len(list(tmp_path.iterdir())) == 1


def test_nobody_else_reads_it_whatever_lay_there(tmp_path: Path) -> None:
    partial = tmp_path / ".backup.partial"
    partial.write_bytes(b"of a process that was killed")
    partial.chmod(0o666)
    with partial.open("rb") as spy:
        with whole_file(tmp_path / "backup") as file:
            file.write(b"digests of keys")
        assert spy.read() == b"of a process that was killed"
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600


def test_a_link_that_lies_there_leads_nowhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "passwd"
    elsewhere.write_bytes(b"root")
    (tmp_path / ".backup.partial").symlink_to(elsewhere)
    with whole_file(tmp_path / "backup") as file:
        file.write(b"ours")
    assert elsewhere.read_bytes() == b"root"
