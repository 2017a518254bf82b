"""Files of months: written, read back, found again; no database."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mutt_appliance import whole_files
from mutt_appliance.store import archive_files
from mutt_appliance.store.archive_files import (
    ArchiveError,
    Form,
    Source,
    check_file,
    find_archive,
    lines_of,
    manifest_path,
    read_manifest,
    write_archive,
)
from mutt_appliance.store.errors import Stopped

SOURCE = Source(
    "event_audit_log_2026_01", 4711, date(2026, 1, 1), "mutt_db", "7000000000000000001", "0004_audit_archives"
)
ROWS = [
    json.dumps({"event_id": f"e{n}", "received_at": f"2026-01-0{n + 1}T00:00:00+00:00", "message": "a\nü"})
    for n in range(5)
]
CHUNKS = [ROWS[:2], ROWS[2:]]


@pytest.mark.parametrize("form", ["ndjson.gz", "ndjson"])
def test_a_file_holds_the_rows_and_its_manifest_says_what_they_are(tmp_path: Path, form: Form) -> None:
    manifest = write_archive(tmp_path / "new" / "folder", form, SOURCE, CHUNKS)
    path = tmp_path / "new" / "folder" / f"event_audit_log_2026_01.{form}"
    assert [line.decode().rstrip("\n") for line in lines_of(path)] == ROWS
    assert manifest == read_manifest(manifest_path(path))
    assert (manifest.rows, manifest.month, manifest.file) == (5, "2026-01", path.name)
    assert (manifest.first_received_at[:10], manifest.last_received_at[:10]) == ("2026-01-01", "2026-01-05")
    assert (manifest.size_bytes, manifest.sha256) == (
        path.stat().st_size,
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert {each.name for each in path.parent.iterdir()} == {path.name, manifest_path(path).name}
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}


def test_zcat_reads_it(tmp_path: Path) -> None:
    write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    done = subprocess.run(["zcat", *tmp_path.glob("*.gz")], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ROWS


def test_the_same_rows_make_the_same_file(tmp_path: Path) -> None:
    digests = {write_archive(tmp_path / name, "ndjson.gz", SOURCE, CHUNKS).sha256 for name in ("a", "b")}
    assert len(digests) == 1


def test_a_file_of_the_same_partition_is_replaced_and_one_of_an_earlier_partition_is_not(
    tmp_path: Path,
) -> None:
    write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS[:1])
    later = replace(SOURCE, partition_oid=4712)
    assert (
        write_archive(tmp_path, "ndjson.gz", later, CHUNKS[1:]).file == "event_audit_log_2026_01-2.ndjson.gz"
    )
    assert {path.name for path in tmp_path.glob("*.gz")} == {
        "event_audit_log_2026_01.ndjson.gz",
        "event_audit_log_2026_01-2.ndjson.gz",
    }
    found = find_archive(tmp_path, SOURCE), find_archive(tmp_path, later)
    assert [each.rows for each in found if each] == [2, 3]
    assert find_archive(tmp_path, replace(SOURCE, partition_oid=1)) is None


def test_a_file_of_another_postgresql_is_left_alone_although_partition_and_oid_are_the_same(
    tmp_path: Path,
) -> None:
    """Two appliances with embedded stores and one folder: the same steps give the same oids."""
    ours = write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    theirs = replace(SOURCE, cluster="7000000000000000002")
    assert find_archive(tmp_path, theirs) is None
    assert write_archive(tmp_path, "ndjson.gz", theirs, CHUNKS[:1]).file != ours.file
    check_file(tmp_path / ours.file, ours)


def test_a_file_without_a_manifest_is_left_alone_and_not_believed(tmp_path: Path) -> None:
    stranger = tmp_path / "event_audit_log_2026_01.ndjson.gz"
    stranger.write_bytes(b"something else")
    assert find_archive(tmp_path, SOURCE) is None
    assert write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS).file == "event_audit_log_2026_01-2.ndjson.gz"
    assert stranger.read_bytes() == b"something else"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda whole: whole[:-1], "the file is damaged"),
        (lambda whole: whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], "the file is damaged"),
        (lambda _: b"", "the file is damaged"),
    ],
    ids=["cut off", "a bit", "empty"],
)  # fmt: skip
def test_a_damaged_file_is_found_out(tmp_path: Path, damage: object, words: str) -> None:
    manifest = write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    path = tmp_path / manifest.file
    check_file(path, manifest)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ArchiveError, match=words):
        check_file(path, manifest)


def test_rows_that_are_not_there_are_found_out(tmp_path: Path) -> None:
    manifest = write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    with pytest.raises(ArchiveError, match="holds 5 rows, but the manifest says 6"):
        check_file(tmp_path / manifest.file, replace(manifest, rows=6))


def test_what_is_no_gzip_is_found_out(tmp_path: Path) -> None:
    manifest = write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    path = tmp_path / manifest.file
    short = gzip.compress(b"x\n" * 5)[:-9]
    path.write_bytes(short)
    lying = replace(manifest, size_bytes=len(short), sha256=hashlib.sha256(short).hexdigest())
    with pytest.raises(ArchiveError, match="cannot be read back"):
        check_file(path, lying)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format":"x"}'])
def test_what_is_no_manifest_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.manifest.json"
    path.write_text(text)
    with pytest.raises(ArchiveError, match=r"x\.manifest\.json: is not a manifest"):
        read_manifest(path)


def test_a_manifest_of_a_newer_mutt_is_refused(tmp_path: Path) -> None:
    path = manifest_path(tmp_path / write_archive(tmp_path, "ndjson", SOURCE, CHUNKS).file)
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ArchiveError, match="a newer MUTT reads it"):
        read_manifest(path)


def test_a_writer_that_is_stopped_or_fails_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[list[str]]:
        yield CHUNKS[0]
        raise Stopped

    with pytest.raises(Stopped):
        write_archive(tmp_path, "ndjson.gz", SOURCE, rows())
    assert list(tmp_path.iterdir()) == []


def test_a_stop_while_the_file_is_read_back_leaves_nothing(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS, stop)
    assert list(tmp_path.iterdir()) == []


def test_attempts_that_fail_as_the_file_is_read_back_do_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise ArchiveError("the file is damaged")

    monkeypatch.setattr(archive_files, "check_file", damaged)
    for _ in range(3):
        with pytest.raises(ArchiveError, match="damaged"):
            write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)
    with pytest.raises(ArchiveError, match="cannot be read: File name too long: see AUDIT_ARCHIVE_DIR"):
        find_archive(folder, SOURCE)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match=r"file/x: cannot be written: .*AUDIT_ARCHIVE_DIR"):
        write_archive(tmp_path / "file" / "x", "ndjson.gz", SOURCE, CHUNKS)


def test_the_disk_is_not_filled_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "RESERVE_SHARE", 1.0)
    with pytest.raises(ArchiveError, match="of the disk is free: make room"):
        write_archive(tmp_path, "ndjson.gz", SOURCE, CHUNKS)
    assert list(tmp_path.iterdir()) == []
