"""Replay of all dead letters of a queue, in the background; any web UI on the same stores can tell how far it is."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import asdict
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.events.admission import Limits
from mutt_appliance.queueing.dead_letter import now_rfc3339
from mutt_appliance.queueing.dead_letters import (
    DeadLetters,
    Letter,
    LetterFilter,
    NotReplayableError,
    QueueName,
    Sweep,
    replayed,
)
from mutt_appliance.queueing.scripts import text
from mutt_appliance.store.history import note
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.replays")
ENTITY = "dead_letters"
# Who does not renew this has ended, and another may begin.
LOCK_SECS = 30
KEPT_SECS = 24 * 3600
_under_way: set[asyncio.Task[None]] = set()


async def begin(stores: Stores, queue: QueueName, wanted: LetterFilter, person: str) -> bool:
    """Begin, if nobody does it already. Raises redis.RedisError."""
    token = uuid.uuid4().hex
    lock = stores.keys.replay(queue) + ":lock"
    if not await stores.redis.set(lock, token, nx=True, ex=LOCK_SECS):
        return False
    sweep = await Sweep.over(DeadLetters(stores.shards, queue), wanted)
    await _tell(stores, sweep, "running", started_at=now_rfc3339(), started_by=person, total=sweep.most)
    task = asyncio.create_task(_run(stores, sweep, person, lock))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return True


async def progress(stores: Stores, queue: QueueName) -> dict[str, Any]:
    """How far it is. Raises redis.RedisError."""
    answer: Any = await stores.redis.hgetall(stores.keys.replay(queue))
    found = {text(name): text(value) for name, value in answer.items()}
    if not found:
        return {
            "state": "idle", "total": 0, "looked_at": 0, "replayed": 0, "failed": 0,
            "started_at": None, "started_by": None,
        }  # fmt: skip
    state = found["state"]
    if state == "running" and time.time() - float(found["told_at"]) > LOCK_SECS:
        state = "failed"
    numbers = {name: int(found[name]) for name in ("total", "looked_at", "replayed", "failed")}
    return {"state": state, **numbers, "started_at": found["started_at"], "started_by": found["started_by"]}


async def _run(stores: Stores, sweep: Sweep, person: str, lock: str) -> None:
    limits = Limits.of(stores.settings)
    queue = sweep.letters.queue

    def decide(letter: Letter) -> bytes | None:
        try:
            return replayed(queue, letter, letter.payload, limits)
        except NotReplayableError:
            return None

    state = "failed"
    try:
        while await sweep.replay_chunk(decide):
            await _tell(stores, sweep, "running")
            await stores.redis.expire(lock, LOCK_SECS)
        state = "done"
        counts = {"replayed": sweep.moved, "failed": sweep.failed}
        await stores.run(note_action, person, "replay", queue, {**asdict(sweep.wanted), **counts})
    except Exception as error:
        log.error("replay of dead letters ended early", queue=queue, exc_info=error)
    finally:
        await _tell(stores, sweep, state)
        await stores.redis.delete(lock)
        log.info("dead letters replayed", queue=queue, replayed=sweep.moved, failed=sweep.failed, by=person)


async def _tell(stores: Stores, sweep: Sweep, state: str, **more: str | int) -> None:
    key = stores.keys.replay(sweep.letters.queue)
    fields: dict[Any, Any] = {
        "state": state,
        "looked_at": sweep.looked_at,
        "replayed": sweep.moved,
        "failed": sweep.failed,
        "told_at": time.time(),
        **more,
    }
    async with stores.redis.pipeline(transaction=True) as pipe:
        pipe.hset(key, mapping=fields)
        pipe.expire(key, KEPT_SECS)
        await pipe.execute()


def note_action(
    conn: Connection, changed_by: str, action: str, queue: str, after: dict[str, Any] | None
) -> None:
    """Note what was done with dead letters in the history."""
    with conn.cursor() as cursor:
        note(cursor, changed_by, action, ENTITY, queue, None, after)
