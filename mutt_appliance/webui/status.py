"""The state of the pipeline in plain text: rates, depths, and the health of every role."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio

from mutt_appliance.queueing.shards import AsyncShard, Shards
from mutt_appliance.telemetry.health import pool_health, troubles_of
from mutt_appliance.telemetry.rates import WINDOWS, keys_between

ROLES = ("ingestor", "alerter", "forwarder")


@dataclass(frozen=True)
class Depths:
    """What lies in the queues of all shards together."""

    ingest_queue: int
    alert_queue: int
    retrying: int
    dead_ingest: int
    dead_alerter: int
    dead_moog: int


@dataclass(frozen=True)
class PipelineState:
    """What the queues hold and how fast events come in (events per second over the last full windows)."""

    rate_1m: float
    rate_1h: float
    depths: Depths


async def read_depths(shards: Iterable[AsyncShard]) -> Depths:
    """Read them, one round trip for each shard, all at once. Raises redis.RedisError."""
    return Depths(*map(sum, zip(*await asyncio.gather(*map(_depths_of, shards)), strict=True)))


async def _depths_of(shard: AsyncShard) -> tuple[int, ...]:
    keys = shard.keys
    async with shard.client.pipeline(transaction=False) as pipe:
        pipe.llen(keys.ingest_queue)
        pipe.llen(keys.alert_queue)
        pipe.zcard(keys.retry)
        pipe.llen(keys.ingest_dead)
        pipe.llen(keys.events.dead)
        pipe.llen(keys.alerts.dead)
        return tuple(int(depth) for depth in await pipe.execute())


async def read_state(shards: Shards[redis.asyncio.Redis], now: float | None = None) -> PipelineState:
    """Read it from all shards at once. Raises redis.RedisError."""
    now = time.time() if now is None else now
    minute = WINDOWS[0]
    home = shards.home
    minutes = keys_between(home.keys.metrics_prefix, minute, now - 3600, now)
    counts, depths = await asyncio.gather(home.client.mget(minutes), read_depths(shards))
    values = [int(count or 0) for count in counts]
    # The minute that has just begun and the one before it: together at least a minute long.
    into_minute = now % minute.length_secs
    rate_1m = (values[-1] + values[-2]) / (minute.length_secs + into_minute)
    return PipelineState(rate_1m, sum(values) / (3600 + into_minute), depths)


def summary(state: PipelineState | None) -> dict[str, Any]:
    """The state in a few numbers, for one line; `away` without one."""
    if state is None:
        return {"away": True}
    return {
        "events_per_second": round(state.rate_1m, 1),
        "ingest": state.depths.ingest_queue,
        "alert": state.depths.alert_queue,
        "retrying": state.depths.retrying,
        "dead": state.depths.dead_ingest + state.depths.dead_alerter + state.depths.dead_moog,
    }


def render(state: PipelineState | None, runtime_dir: Path) -> tuple[bool, str]:
    """(all well, text) of the state; without one Redis is away."""
    lines = []
    if state is None:
        lines.append("redis            away")
    else:
        depths = state.depths
        lines += [
            f"events/s         {state.rate_1m:.1f} (last minutes)  {state.rate_1h:.1f} (last hour)",
            f"ingest queue     {depths.ingest_queue}",
            f"alert queue      {depths.alert_queue}",
            f"retrying         {depths.retrying}",
            f"dead letters     ingest {depths.dead_ingest}  alerter {depths.dead_alerter}  moog {depths.dead_moog}",
        ]
    well = state is not None
    for role in ROLES:
        role_well, document = pool_health(runtime_dir, role)
        well = well and role_well
        lines.append(f"{role:<16} {document['status']}")
        lines += [f"  {name:<14} {_troubles(process)}" for name, process in document["processes"].items()]
    return well, "\n".join(lines) + "\n"


def _troubles(process: dict[str, Any]) -> str:
    if process["status"] == "not responding":
        return f"not responding for {process['age_seconds']} s"
    return troubles_of(process) or "ok"
