"""Dead letters in files: NDJSON with gzip, a letter a line as it lay in the queue, the oldest first.

What is in a dead letter queue and is no JSON is kept as {"base64": "…"}.
"""

from __future__ import annotations

import gzip
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import orjson

from mutt_appliance.whole_files import whole_file

RAW = "base64"


class LetterFileError(Exception):
    """A file holds something that is no dead letter; the text says where."""


def line_of(raw: bytes) -> bytes:
    """The line for a letter."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict) and RAW not in document and b"\n" not in raw:
        return raw + b"\n"
    return orjson.dumps({RAW: b64encode(raw).decode()}) + b"\n"


def letter_of(line: bytes) -> bytes:
    """The letter of a line. Raises ValueError for a line that is none."""
    stripped = line.strip()
    document = orjson.loads(stripped)
    if not isinstance(document, dict):
        raise ValueError("is not a JSON object")
    return b64decode(document[RAW], validate=True) if set(document) == {RAW} else stripped


def write_letters(stream: IO[bytes], raws: Iterable[bytes]) -> int:
    """Write letters, compressed; returns how many."""
    count = 0
    # Without a name and a time in it the same letters make the same file.
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
        for raw in raws:
            packed.write(line_of(raw))
            count += 1
    return count


def write_letter_file(path: Path, raws: Iterable[bytes]) -> int:
    """A new file that is there, and on the disk, as a whole or not at all. Raises OSError."""
    with whole_file(path) as stream:
        return write_letters(stream, raws)


def read_letters(path: Path) -> Iterator[bytes]:
    """The letters of a file, compressed or not. Raises OSError, EOFError, zlib.error, LetterFileError."""
    with path.open("rb") as head:
        packed = head.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield letter_of(line)
            except ValueError as error:
                raise LetterFileError(f"{path}: line {number} is no dead letter: {error}") from error
