"""The file of a backup: what is in it, and every way in which it can be wrong."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mutt_appliance.backup.contents import BackupError, Manifest, Member
from mutt_appliance.backup.files import KNOWN, BackupWriter, check_backup

Members = dict[str, bytes]


def written(path: Path, **more: bytes) -> Manifest:
    """A backup with a row in each member."""
    with path.open("wb") as stream:
        writer = BackupWriter(stream)
        for name in sorted(KNOWN):
            writer.add(name, b'{"id": 1}\n')
        for name, content in more.items():
            writer.add(name, content)
        return writer.close(made)


def made(members: tuple[Member, ...]) -> Manifest:
    return Manifest("2026-11-24T00:00:00+00:00", "host-a", "mutt_db", ("0001_a",), members)


def members_of(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def rewrite(path: Path, members: Members) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    manifest = written(tmp_path / "b", **{"audit/000001.ndjson": b"{}\n{}\n"})
    seen: dict[str, list[bytes]] = {}
    assert check_backup(tmp_path / "b", seen.__setitem__) == manifest
    assert seen["alert_rules.ndjson"] == [b'{"id": 1}']
    assert seen["audit/000001.ndjson"] == [b"{}", b"{}"]
    assert manifest.with_audit


def test_tar_reads_it(tmp_path: Path) -> None:
    written(tmp_path / "b")
    done = subprocess.run(["tar", "tvzf", tmp_path / "b"], capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in done.stdout.splitlines()] == [*sorted(KNOWN), "manifest.json"]
    assert all(line.startswith("-rw-------") for line in done.stdout.splitlines())


def without_manifest(members: Members) -> Members:
    return {name: content for name, content in members.items() if name != "manifest.json"}


def changed(members: Members) -> Members:
    return {**members, "alert_rules.ndjson": b'{"id": 2}\n'}


def without_a_member(members: Members) -> Members:
    return {name: content for name, content in members.items() if name != "device_teams.ndjson"}


def with_a_stranger(members: Members) -> Members:
    return {"../../etc/passwd": b"x", **members}


def newer(members: Members) -> Members:
    return {**members, "manifest.json": members["manifest.json"].replace(b'"version": 1', b'"version": 2')}


def other_manifest(members: Members) -> Members:
    return {**members, "manifest.json": b'{"format": "mutt-backup", "version": 1}'}


def no_json(members: Members) -> Members:
    return {**members, "manifest.json": b"{"}


def never_had_it(members: Members) -> Members:
    """As `without_a_member`, and the manifest does not promise it either."""
    document = json.loads(members["manifest.json"])
    document["members"] = [each for each in document["members"] if each["name"] != "device_teams.ndjson"]
    return {**without_a_member(members), "manifest.json": json.dumps(document).encode()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_manifest, "has no manifest.json: it is cut off"),
        (changed, "alert_rules.ndjson is not what the manifest says"),
        (without_a_member, "device_teams.ndjson is not what the manifest says"),
        (never_had_it, "device_teams.ndjson is missing"),
        (with_a_stranger, "etc/passwd does not belong into a backup"),
        (newer, "is of format 2, made by MUTT"),
        (other_manifest, "its manifest.json is not one of a backup"),
        (no_json, "its manifest.json is not JSON"),
    ],
)
def test_what_is_not_as_it_was_written_is_found_out(
    tmp_path: Path, change: Callable[[Members], Members], words: str
) -> None:
    path = tmp_path / "b.tar.gz"
    written(path)
    rewrite(path, change(members_of(path)))
    with pytest.raises(BackupError, match=words) as error:
        check_backup(path)
    assert str(path) in str(error.value)


def test_wherever_a_byte_is_another_the_file_is_named(tmp_path: Path) -> None:
    """Inside the compressed data zlib has an error of its own; what only pads the members does no harm."""
    path = tmp_path / "b.tar.gz"
    manifest = written(path, **{"audit/000001.ndjson": b"".join(b'{"n": %d}\n' % n for n in range(2000))})
    whole = path.read_bytes()
    named = 0
    for place in range(20, len(whole) - 8, 61):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert check_backup(path) == manifest
        except BackupError as error:
            assert str(path) in str(error)
            named += 1
    assert named > 20


@pytest.mark.parametrize("cut", [0, 1, 100, -20])
def test_a_file_that_is_cut_off_is_found_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "b.tar.gz"
    written(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BackupError):
        check_backup(path)


def test_a_link_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("alert_rules.ndjson")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(info)
    with pytest.raises(BackupError, match="is not a plain file"):
        check_backup(path)
