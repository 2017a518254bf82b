"""Files of months that leave the audit log: NDJSON with a manifest beside it, written to be believed. No SQL here.

A file gets its manifest only when all of it is on the disk and was read back, so that one with a manifest is
whole. `sha256sum`, `zcat` and `jq` are enough to check and to read one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal

import orjson

from mutt_appliance import __version__
from mutt_appliance.store.errors import Stopped
from mutt_appliance.whole_files import RESERVE_SHARE, reserve_is_left, whole_file

Form = Literal["ndjson.gz", "ndjson"]
FORMAT: Final = "mutt-audit-archive"
FORMAT_VERSION: Final = 1
MANIFEST: Final = ".manifest.json"
FOLDER_MODE: Final = 0o750
# As small as 9 makes it, but for 2 %, in half of the time.
GZIP_LEVEL: Final = 6
BLOCK_BYTES: Final = 1 << 20


class ArchiveError(Exception):
    """A file cannot be written, or is not what its manifest says; the text names it and the way out."""


@dataclass(frozen=True)
class Manifest:
    """What a file holds; `schema` is the newest migration of the database it came from.

    `partition_oid` tells whether a file is of the partition that is there now, or of an earlier one of its name;
    `cluster`, PostgreSQL's own identifier, whether it is of this PostgreSQL: new ones give the same oids to the same
    partitions, and several appliances may share a folder.
    """

    file: str
    partition: str
    partition_oid: int
    database: str
    month: str
    rows: int
    size_bytes: int
    sha256: str
    first_received_at: str
    last_received_at: str
    schema: str
    host: str
    written_at: str
    cluster: str
    mutt_version: str = __version__
    format: str = FORMAT
    version: int = FORMAT_VERSION

    def is_of(self, source: Source) -> bool:
        """True if the file was made of that very partition."""
        mine = (self.partition_oid, self.database, self.cluster)
        return mine == (source.partition_oid, source.database, source.cluster)


@dataclass(frozen=True)
class Source:
    """The partition that a file is made of."""

    partition: str
    partition_oid: int
    month: date
    database: str
    cluster: str
    schema: str


def write_archive(
    folder: Path, form: Form, source: Source, chunks: Iterable[list[str]], stop: threading.Event | None = None
) -> Manifest:
    """Write rows (JSON texts, oldest first), read the file back, and put it under its name with its manifest.

    A file of the same partition is replaced, one of an earlier partition of that month is not. Raises ArchiveError,
    Stopped and whatever `chunks` raises; what was not finished is removed.
    """
    path = folder
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        path = folder / _name_for(folder, form, source)
        manifest = _write(path, form, source, chunks)
        try:
            check_file(path, manifest, stop)
            with whole_file(manifest_path(path)) as file:
                file.write(
                    orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
                )
        except BaseException:
            # Nobody would believe it, and each attempt would leave one more.
            with suppress(OSError):
                path.unlink()
            raise
    except OSError as error:
        raise ArchiveError(
            f"{path}: cannot be written: {error.strerror or error}: see AUDIT_ARCHIVE_DIR"
        ) from error
    return manifest


def find_archive(folder: Path, source: Source) -> Manifest | None:
    """The manifest of a file that a former attempt has made of this very partition. Raises ArchiveError."""
    try:
        paths = sorted(folder.glob(f"{_stem(source)}*{MANIFEST}"))
    except OSError as error:
        raise ArchiveError(
            f"{folder}: cannot be read: {error.strerror or error}: see AUDIT_ARCHIVE_DIR"
        ) from error
    for path in paths:
        with suppress(ArchiveError):
            manifest = read_manifest(path)
            if manifest.is_of(source):
                return manifest
    return None


def read_manifest(path: Path) -> Manifest:
    """A manifest; raises ArchiveError."""
    try:
        # The first manifests did not name the cluster: those files are read, and never taken for a partition of now.
        document: dict[str, Any] = {"cluster": "", **orjson.loads(path.read_bytes())}
        manifest = Manifest(**{name: document[name] for name in Manifest.__dataclass_fields__})
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read: {error.strerror}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path}: is not a manifest of an archive of MUTT") from error
    if manifest.format != FORMAT or manifest.version > FORMAT_VERSION:
        raise ArchiveError(f"{path}: has format {manifest.format} {manifest.version}: a newer MUTT reads it")
    return manifest


def manifest_path(file: Path) -> Path:
    """Where the manifest of `file` is."""
    return file.with_name(file.name + MANIFEST)


def check_file(path: Path, manifest: Manifest, stop: threading.Event | None = None) -> None:
    """Read all of a file from the disk: raises ArchiveError unless it is what the manifest says."""
    try:
        size, digest = 0, hashlib.sha256()
        with path.open("rb") as raw:
            # What was just written is to come from the disk, not from the kernel's memory of it.
            os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while block := raw.read(BLOCK_BYTES):
                _heed(stop)
                size += len(block)
                digest.update(block)
        if (size, digest.hexdigest()) != (manifest.size_bytes, manifest.sha256):
            raise ArchiveError(
                f"{path}: {size} bytes with SHA-256 {digest.hexdigest()}, but the manifest says "
                f"{manifest.size_bytes} bytes with {manifest.sha256}: the file is damaged"
            )
        lines = 0
        with _opened(path) as stream:
            while block := stream.read(BLOCK_BYTES):
                _heed(stop)
                lines += block.count(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveError(f"{path}: cannot be read back: {error}") from error
    if lines != manifest.rows:
        raise ArchiveError(f"{path}: holds {lines} rows, but the manifest says {manifest.rows}")


def lines_of(path: Path) -> Iterator[bytes]:
    """Rows of a file as JSON, oldest first. Raises OSError, EOFError, zlib.error."""
    with _opened(path) as stream:
        yield from stream


def _opened(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")


def _stem(source: Source) -> str:
    return f"event_audit_log_{source.month:%Y_%m}"


def _name_for(folder: Path, form: Form, source: Source) -> str:
    former = find_archive(folder, source)
    if former is not None and former.file.endswith(f".{form}"):
        return former.file
    stem, number = _stem(source), 1
    while True:
        name = f"{stem}{f'-{number}' if number > 1 else ''}.{form}"
        if not (folder / name).exists() and not manifest_path(folder / name).exists():
            return name
        number += 1


def _write(path: Path, form: Form, source: Source, chunks: Iterable[list[str]]) -> Manifest:
    first = last = ""
    rows = 0
    with whole_file(path) as raw:
        counted = _Counted(raw)
        # Without the time of writing the same rows make the same file.
        packed = (
            gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=counted, mtime=0)
            if form == "ndjson.gz"
            else None
        )
        for chunk in chunks:
            first = first or chunk[0]
            last = chunk[-1]
            rows += len(chunk)
            (packed or counted).write(("\n".join(chunk) + "\n").encode())
            _keep_reserve(path.parent)
        if packed is not None:
            packed.close()
    return Manifest(
        file=path.name,
        partition=source.partition,
        partition_oid=source.partition_oid,
        database=source.database,
        month=f"{source.month:%Y-%m}",
        rows=rows,
        size_bytes=counted.size,
        sha256=counted.digest.hexdigest(),
        first_received_at=_received_at(first),
        last_received_at=_received_at(last),
        schema=source.schema,
        host=socket.gethostname(),
        written_at=datetime.now(UTC).isoformat(timespec="seconds"),
        cluster=source.cluster,
    )


class _Counted:
    """A file that knows the size and the digest of what was written to it."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._raw.write(data)

    def flush(self) -> None:
        self._raw.flush()


def _received_at(row: str) -> str:
    # Not orjson: a device may send numbers that no double holds.
    return str(json.loads(row)["received_at"]) if row else ""


def _keep_reserve(folder: Path) -> None:
    if not reserve_is_left(folder):
        raise ArchiveError(
            f"{folder}: less than {RESERVE_SHARE:.0%} of the disk is free: make room, or name another "
            "AUDIT_ARCHIVE_DIR"
        )


def _heed(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped
