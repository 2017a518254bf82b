"""The file of a queue dump: NDJSON with gzip, a line for each item, read by anything that knows JSON and base64 (pure).

    {"format": "mutt-queues", "version": 1, "id": "…", "made_at": "…", "host": "…", "mutt_version": "…"}
    {"place": "ingest_queue", "shard": 0, "item": "<base64>"}
    {"place": "retry", "shard": 0, "item": "<base64>", "due_ms": 1764000000000}
    …
    {"end": true, "counts": {"ingest_queue": 1, "retry": 1}, "sha256": "<of all lines before>"}

The items of a place come newest first, what workers held after what they took it from: pushed at the end that is
consumed, one after the other, they lie as they lay, before what came meanwhile.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Final, Literal, get_args

import orjson

from mutt_appliance import __version__

Place = Literal["ingest_queue", "alert_queue", "retry", "dlq_ingest", "dlq_alerter", "dlq_moog"]
PLACES: Final[tuple[Place, ...]] = get_args(Place)
FORMAT: Final = "mutt-queues"
FORMAT_VERSION: Final = 1


class DumpError(Exception):
    """A dump cannot be made, read or loaded; the text says why, and the way out."""


@dataclass(frozen=True)
class Head:
    """Which dump it is; `id` is another for each."""

    id: str
    made_at: str
    host: str
    mutt_version: str = __version__
    format: str = FORMAT
    version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class Item:
    """An item and where it belongs; `due_ms` (since 1970) is its next attempt, for the place `retry`."""

    place: Place
    shard: int
    raw: bytes
    due_ms: int = 0


@dataclass
class Counts:
    """How many items of each place."""

    by_place: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Of all places."""
        return sum(self.by_place.values())


def write_dump(stream: IO[bytes], head: Head, items: Iterable[Item]) -> Counts:
    """Write a dump, item by item."""
    digest = hashlib.sha256()
    counts = Counts()

    def put(line: bytes) -> None:
        digest.update(line)
        stream.write(line)

    put(_line(asdict(head)))
    for item in items:
        document: dict[str, Any] = {
            "place": item.place,
            "shard": item.shard,
            "item": b64encode(item.raw).decode(),
        }
        if item.place == "retry":
            document["due_ms"] = item.due_ms
        put(_line(document))
        counts.by_place[item.place] += 1
    stream.write(_line({"end": True, "counts": dict(counts.by_place), "sha256": digest.hexdigest()}))
    return counts


def read_head(lines: Iterator[bytes]) -> Head:
    """The first line; raises DumpError."""
    document = _document(next(lines, b""))
    if document.get("format") != FORMAT:
        raise DumpError("it is no dump of queues")
    if document.get("version") != FORMAT_VERSION:
        raise DumpError(
            f"it has version {document.get('version')}: load it with MUTT {document.get('mutt_version')}"
        )
    return Head(str(document["id"]), str(document["made_at"]), str(document["host"]))


def read_items(lines: Iterable[bytes]) -> Iterator[Item]:
    """Items of a dump, checked as they come: raises DumpError at the end at the latest.

    Look at them all once before the first is used.
    """
    digest = hashlib.sha256()
    counts: Counter[str] = Counter()
    ended = False
    for number, line in enumerate(lines):
        if ended:
            raise DumpError("something follows its end: the file is damaged")
        if number == 0:
            read_head(iter([line]))
            digest.update(line)
            continue
        document = _document(line)
        if document.get("end"):
            if (document.get("counts"), document.get("sha256")) != (dict(counts), digest.hexdigest()):
                raise DumpError("it is not what was written: the file is damaged")
            ended = True
            continue
        digest.update(line)
        item = _item(document)
        counts[item.place] += 1
        yield item
    if not ended:
        raise DumpError("it has no end: the file is cut off")


def _item(document: dict[str, Any]) -> Item:
    try:
        if document["place"] not in PLACES:
            raise DumpError(
                f"{str(document['place'])[:40]!r} is no place of this version: a newer MUTT loads it"
            )
        raw = b64decode(document["item"], validate=True)
        due_ms = int(document["due_ms"]) if document["place"] == "retry" else 0
        return Item(document["place"], int(document["shard"]), raw, due_ms)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise DumpError("a line is no item of a queue: the file is damaged") from error


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DumpError("a line is not JSON: it is no dump of queues, or damaged") from error
    if not isinstance(document, dict):
        raise DumpError("a line is no JSON object: it is no dump of queues, or damaged")
    return document


def _line(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
