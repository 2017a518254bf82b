"""Where a secret could end up that should not, and the search for it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import redis

from tests.support.servers import PostgresServer

# So much of a value is enough to be found: a part that was cut off is a leak, too.
PART_CHARS = 16
Haystack = Iterator[tuple[str, bytes]]


def found(needles: Mapping[str, str], haystacks: Iterable[tuple[str, bytes]]) -> list[str]:
    """`DB_PASS in /run/…`, for each place that holds a needle: its beginning, its end, or either as base64."""
    forms = {name: _forms(value) for name, value in needles.items()}
    return [
        f"{name} in {place}"
        for place, text in haystacks
        for name, parts in forms.items()
        if any(part in text for part in parts)
    ]


def _forms(value: str) -> list[bytes]:
    assert len(value) >= PART_CHARS
    raw = value.encode()
    # Whole groups of three, at each of the places that a longer text may put them.
    encoded = [base64.b64encode(raw[skip : skip + (len(raw) - skip) // 3 * 3]) for skip in range(3)]
    return [raw[:PART_CHARS], raw[-PART_CHARS:], *encoded]


def files(folder: Path, without: Iterable[Path] = ()) -> Haystack:
    """Every file below `folder`, but for those that are there to hold secrets."""
    left_out = set(without)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in left_out:
            # A temporary file may be gone by now.
            with suppress(FileNotFoundError):
                yield str(path), path.read_bytes()


def processes(of: Iterable[psutil.Process]) -> Haystack:
    """/proc/PID/environ and /proc/PID/cmdline."""
    for process in of:
        for name in ("environ", "cmdline"):
            path = Path(f"/proc/{process.pid}/{name}")
            with suppress(FileNotFoundError, ProcessLookupError):
                yield f"{path} ({process.name()})", path.read_bytes()


def redis_contents(client: redis.Redis) -> Haystack:
    """Every key of Redis with all it holds."""
    readers: dict[str, Any] = {
        "string": client.get,
        "list": lambda key: client.lrange(key, 0, -1),
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
    }
    for key in client.scan_iter():
        kind: Any = client.type(key)
        yield f"Redis key {key.decode()}", key + repr(readers[kind.decode()](key)).encode()


def database_contents(postgres: PostgresServer, database: str) -> Haystack:
    """Every row of every table of our own."""
    tables = postgres.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
        database,
    )
    for (table,) in tables:
        rows = postgres.execute(f"SELECT t::text FROM {table} t", database)
        yield f"table {table}", "\n".join(str(row[0]) for row in rows).encode()
