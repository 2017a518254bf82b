"""The file of a backup: a tar compressed with gzip, its members NDJSON and JSON, the manifest last.

The manifest comes last because it has the digests of what is before it; so a file that was cut off has none.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

import orjson

from mutt_appliance.backup.contents import (
    AUDIT_FOLDER,
    KEPT,
    MANIFEST,
    SETTINGS,
    TABLES,
    BackupError,
    Manifest,
    Member,
    manifest_from,
    member_of,
)

MODE: Final = 0o600
MANIFEST_MAX_BYTES: Final = 1 << 26
KNOWN: Final = frozenset({SETTINGS, *map(member_of, (*(table.name for table in TABLES), *KEPT))})


class BackupWriter:
    """Adds members to an open file; `close` ends it with its manifest."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|gz", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._members: list[Member] = []
        self._now = int(time.time())

    def add(self, name: str, content: bytes) -> Member:
        """Add a member; its rows are the lines of `content`."""
        self._write(name, content)
        member = Member(name, content.count(b"\n"), len(content), hashlib.sha256(content).hexdigest())
        self._members.append(member)
        return member

    def close(self, make_manifest: Callable[[tuple[Member, ...]], Manifest]) -> Manifest:
        """Write the manifest of what was added."""
        manifest = make_manifest(tuple(self._members))
        self._write(
            MANIFEST, orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
        self._tar.close()
        return manifest

    def _write(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = len(content), MODE, self._now
        self._tar.addfile(info, io.BytesIO(content))


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each member, in order. Nothing is unpacked. Raises BackupError naming the file."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                if file is None:
                    raise BackupError(f"{path}: {info.name} is not a plain file: it is no backup of MUTT")
                yield info.name, file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BackupError(f"{path}: cannot be read as a backup (tar with gzip): {error}") from error


def check_backup(
    path: Path, take: Callable[[str, list[bytes]], None] = lambda _name, _lines: None
) -> Manifest:
    """Read all of a backup and compare it with its manifest; `take` gets the lines of each member meanwhile.

    Raises BackupError.
    """
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    for name, content in read_members(path):
        if name == MANIFEST:
            manifest = _manifest(path, content)
            continue
        if manifest is not None or (name not in KNOWN and not name.startswith(AUDIT_FOLDER)):
            raise BackupError(f"{path}: {name} does not belong into a backup of MUTT")
        found[name] = Member(name, content.count(b"\n"), len(content), hashlib.sha256(content).hexdigest())
        take(name, content.splitlines())
    if manifest is None:
        raise BackupError(f"{path}: has no {MANIFEST}: it is cut off, or no backup of MUTT")
    promised = {member.name: member for member in manifest.members}
    for name in promised.keys() | found.keys():
        if promised.get(name) != found.get(name):
            raise BackupError(f"{path}: {name} is not what the manifest says: the file is damaged")
    missing = KNOWN - promised.keys()
    if missing:
        raise BackupError(f"{path}: {', '.join(sorted(missing))} is missing: the file is damaged")
    return manifest


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        document: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BackupError(f"{path}: its {MANIFEST} is not JSON: the file is damaged") from error
    try:
        return manifest_from(document)
    except BackupError as error:
        raise BackupError(f"{path}: {error}") from error
