"""Dead letters that are too many for their queue go to compressed files, the oldest first (asyncio).

They leave Redis once their file is on the disk. After a crash in between they are in Redis still, and in another file
the next time: twice, and never lost.
"""

from __future__ import annotations

import asyncio
import errno
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from mutt_appliance.config import Settings
from mutt_appliance.queueing.dead_letters import CHUNK, QUEUES, Letter, Pile, QueueName
from mutt_appliance.queueing.intake import part_of
from mutt_appliance.queueing.letter_files import write_letter_file
from mutt_appliance.queueing.scripts import script_source
from mutt_appliance.queueing.shards import AsyncShard
from mutt_appliance.whole_files import RESERVE_SHARE, reserve_is_left

FILE_MOST = 10_000
"""Letters in one file."""
FILE_BYTES = 32 * 1024 * 1024
"""What is in memory at a time, about: a file ends with the letters that reach it."""
KEPT_SHARE = 0.9
"""Of what a queue may hold so much stays, so that not every letter becomes a file."""
LOCK_SECS = 120
FOLDER_MODE = 0o750


def most_of(queue: QueueName, settings: Settings) -> int:
    """How many letters of a queue may lie in one shard."""
    total = {
        "ingest": settings.ingest_dlq_max_size,
        "alerter": settings.alerter_dlq_max_size,
        "moog": settings.moog_dlq_max_size,
    }[queue]
    return part_of(total, settings)


def excess(depth: int, most: int) -> int:
    """How many of `depth` letters are to go: none up to `most`, then all that is above nine tenths of it (pure)."""
    return depth - int(most * KEPT_SHARE) if depth > most else 0


def file_name(queue: QueueName, shard: int, at: datetime) -> str:
    """Sorts by queue, shard and time: `moog-0-20261125T201530.123456Z.ndjson.gz`."""
    return f"{queue}-{shard}-{at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.ndjson.gz"


async def archive(
    home: AsyncShard,
    shards: Iterable[AsyncShard],
    settings: Settings,
    on_file: Callable[[QueueName, int, Path], None],
) -> None:
    """Archive what is too much, unless another process does it. Raises redis.RedisError, OSError.

    `on_file` is told of each file and how many letters are in it.
    """
    piles = [Pile(shard, queue) for shard in shards for queue in QUEUES]
    over = [pile for pile in piles if await pile.depth() > most_of(pile.queue, settings)]
    if not over:
        return
    take_lock = home.client.register_script(script_source("take_lock"))
    if not await take_lock(keys=[home.keys.archive_lock], args=[uuid.uuid4().hex, LOCK_SECS]):
        return
    try:
        for pile in over:
            left = excess(await pile.depth(), most_of(pile.queue, settings))
            while left > 0:
                letters = await _of_one_file(pile, min(left, FILE_MOST))
                if not letters:
                    break
                path = await asyncio.to_thread(_write, settings.dead_letter_archive, pile, letters)
                for first in range(0, len(letters), CHUNK):
                    await pile.discard(letters[first : first + CHUNK])
                on_file(pile.queue, len(letters), path)
                left -= len(letters)
                await home.client.expire(home.keys.archive_lock, LOCK_SECS)
    finally:
        await home.client.delete(home.keys.archive_lock)


async def _of_one_file(pile: Pile, most: int) -> list[Letter]:
    """The oldest letters, up to `most` of them and FILE_BYTES."""
    letters: list[Letter] = []
    size = 0
    while len(letters) < most and size < FILE_BYTES:
        chunk = await pile.oldest(len(letters), min(CHUNK, most - len(letters)))
        letters += chunk
        size += sum(len(letter.raw) for letter in chunk)
        if not chunk:
            break
    return letters


def _write(folder: Path, pile: Pile, letters: list[Letter]) -> Path:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if not reserve_is_left(folder):
        # The append-only file of the embedded Redis may be on the same disk: a full one stops everything.
        raise OSError(errno.ENOSPC, f"less than {RESERVE_SHARE:.0%} of the disk is free", str(folder))
    path = folder / file_name(pile.queue, pile.shard.number, datetime.now(UTC))
    write_letter_file(path, (letter.raw for letter in letters))
    return path
