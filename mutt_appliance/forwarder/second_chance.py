"""Replay of alerts that used up their retries, once Moogsoft is well again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
import redis.asyncio

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.retry import used_up
from mutt_appliance.queueing.dead_letters import CHUNK, DeadLetters, Letter, LetterFilter, Sweep
from mutt_appliance.queueing.shards import Shards
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import ForwarderMetrics

log = get_logger("forwarder.second_chance")
PACE_SECS = 1.0
# A letter is left alone for so long: what was wrong with it may be over by then.
AGE_LEAST = timedelta(seconds=60)
REST_SECS = 30.0


def again(letter: Letter, replays_most: int, now: datetime) -> bytes | None:
    """The alert of a letter for another round of attempts; None for a letter that is to stay (pure)."""
    payload = letter.payload
    if not used_up(letter.reason) or not isinstance(payload, dict) or not _old_enough(letter.failed_at, now):
        return None
    delivery = payload.get("delivery")
    replays = delivery.get("replays", 0) if isinstance(delivery, dict) else 0
    if type(replays) is not int or replays >= replays_most or not isinstance(payload.get("alert_id"), str):
        return None
    return orjson.dumps({**payload, "delivery": {"attempts": 0, "replays": replays + 1}})


def _old_enough(failed_at: str | None, now: datetime) -> bool:
    try:
        return failed_at is None or now - datetime.fromisoformat(failed_at) >= AGE_LEAST
    except (TypeError, ValueError):
        return True


@dataclass(frozen=True)
class Room:
    """Whether Moogsoft is well, and how many alerts wait."""

    well: bool
    waiting: int


class SecondChance:
    """Moves some letters a second, one forwarder of all at a time, while hardly anything else waits."""

    def __init__(
        self,
        shards: Shards[redis.asyncio.Redis],
        settings: Callable[[], Settings],
        room: Callable[[], Room],
        metrics: ForwarderMetrics,
    ) -> None:
        self._shards = shards
        self._settings = settings
        self._room = room
        self._metrics = metrics
        self._sweep: Sweep | None = None

    async def turn(self) -> float:
        """Move a few, if it is time for it; returns after how many seconds to come again. Raises RedisError."""
        settings, room = self._settings(), self._room()
        # Half of what may go out: what comes anew has the other half.
        most = max(1, int(settings.moog_rate_limit / settings.moog_rate_period / 2 * PACE_SECS))
        if not settings.moog_dlq_replay_max or not room.well or room.waiting >= most:
            return PACE_SECS
        home = self._shards.home
        replay = home.keys.replay("moog")
        if await home.client.exists(f"{replay}:lock"):
            return PACE_SECS
        if not await home.client.set(f"{replay}:auto", "1", nx=True, px=int(PACE_SECS * 1000)):
            return PACE_SECS
        if self._sweep is None:
            self._sweep = await Sweep.over(DeadLetters(self._shards, "moog"), LetterFilter())
        sweep, before, now = self._sweep, self._sweep.moved, datetime.now(UTC)
        if not await sweep.replay_chunk(
            lambda letter: again(letter, settings.moog_dlq_replay_max, now), min(most, CHUNK)
        ):
            self._sweep = None
            return REST_SECS
        moved = sweep.moved - before
        if moved:
            self._metrics.replayed.inc(moved)
            log.info("dead letters are tried again: Moogsoft is well", alerts=moved)
        return PACE_SECS
