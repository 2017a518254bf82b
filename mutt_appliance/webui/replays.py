"""Replay of all dead letters of a queue, in the background of this process."""

from __future__ import annotations

import asyncio

from mutt_appliance.events.admission import Limits
from mutt_appliance.queueing.dead_letters import DeadLetters, LetterFilter, QueueName
from mutt_appliance.queueing.replays import Replay
from mutt_appliance.store.history import note_letters
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.replays")
_under_way: set[asyncio.Task[None]] = set()


async def begin(
    stores: Stores, queue: QueueName, wanted: LetterFilter, person: str, rate: float | None
) -> bool:
    """Begin, if nobody does it already. Raises redis.RedisError."""
    letters = DeadLetters(stores.shards, queue)
    replay = await Replay.begin(stores.shards.home, letters, wanted, person, rate)
    if replay is None:
        return False
    task = asyncio.create_task(_run(stores, replay, person))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return True


async def _run(stores: Stores, replay: Replay, person: str) -> None:
    sweep = replay.sweep
    queue = sweep.letters.queue
    try:
        try:
            await replay.run(Limits.of(stores.settings))
        finally:
            # Ended early or not: what went on its way is to be found in the history.
            await stores.run(note_letters, person, "replay", queue, sweep.account())
    except Exception as error:
        log.error("replay of dead letters ended early", queue=queue, exc_info=error)
    finally:
        log.info("dead letters replayed", queue=queue, replayed=sweep.moved, failed=sweep.failed, by=person)
