"""The dead letter queues as those who deal with them see them: look, filter, replay, discard (asyncio).

A letter is named by the SHA-1 of its bytes: whoever was quicker has taken it, and nothing else is meant by its name.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import orjson
import uuid_utils

from mutt_appliance.events.admission import Limits, Unreadable, admit
from mutt_appliance.queueing.dead_letter import now_rfc3339
from mutt_appliance.queueing.scripts import script_source
from mutt_appliance.queueing.shards import AsyncShard

QueueName = Literal["ingest", "alerter", "moog"]
QUEUES: Final[tuple[QueueName, ...]] = ("ingest", "alerter", "moog")
SHED_SOURCE: Final = "alerter-shed"
CHUNK: Final = 200


class NotReplayableError(Exception):
    """What the letter holds cannot go on its way; the text says what must be corrected."""


@dataclass(frozen=True)
class Letter:
    """A dead letter: `raw` as it lies in Redis, `payload` as JSON or, where it is none, as text.

    `shard` is the number of the shard in which it lies, and in which it is replayed; `index` was its place in the list
    there when it was read, below 0 from the right.
    """

    raw: bytes
    reason: str
    failed_at: str | None
    attempts: int | None
    source: str
    payload: Any
    shard: int = 0
    index: int | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """Its name, 40 hexadecimal digits."""
        return hashlib.sha1(self.raw, usedforsecurity=False).hexdigest()

    @property
    def hostname(self) -> str | None:
        """Host of the event or alert in it, if it says."""
        name = self.payload.get("hostname") if isinstance(self.payload, dict) else None
        return name if isinstance(name, str) else None


@dataclass(frozen=True)
class LetterFilter:
    """Which letters: `reason` and `text` are parts of it in any case, `hostname` the whole name.

    `since` (included) and `until` (not included) are about the time they failed; a letter that does not tell it is
    not meant where one of them is given.
    """

    reason: str | None = None
    hostname: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, letter: Letter) -> bool:
        """True for a letter that is meant."""
        if self.reason is not None and self.reason.casefold() not in letter.reason.casefold():
            return False
        if self.hostname is not None and (letter.hostname or "").casefold() != self.hostname.casefold():
            return False
        if not self._in_time(letter.failed_at):
            return False
        if self.text is None:
            return True
        return self.text.casefold() in _shown(letter).casefold()

    def _in_time(self, failed_at: str | None) -> bool:
        if self.since is None and self.until is None:
            return True
        try:
            moment = datetime.fromisoformat(failed_at or "").astimezone(UTC)
        except (ValueError, OverflowError):
            return False
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)

    @property
    def everything(self) -> bool:
        """True if it takes every letter."""
        return self == LetterFilter()


def _shown(letter: Letter) -> str:
    return letter.payload if isinstance(letter.payload, str) else orjson.dumps(letter.payload).decode()


def read_letter(raw: bytes, shard: int = 0, index: int | None = None) -> Letter:
    """A letter as it lies in the queue; one that is none of ours is shown as it is."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or "payload" not in document:
        shown = raw.decode("utf-8", "replace")
        return Letter(raw, "not a dead letter of MUTT", None, None, "", shown, shard, index)
    attempts = document.get("attempts")
    failed_at = document.get("failed_at")
    return Letter(
        raw,
        str(document.get("reason", "")),
        failed_at if isinstance(failed_at, str) else None,
        attempts if type(attempts) is int else None,
        str(document.get("source", "")),
        document["payload"],
        shard,
        index,
    )


def goes_to(queue: QueueName, letter: Letter) -> Literal["events", "alerts"]:
    """Where a letter goes on: refused and poisonous events to be matched, alerts to be forwarded."""
    return "alerts" if queue == "moog" or letter.source == SHED_SOURCE else "events"


def described(queue: QueueName, letter: Letter) -> dict[str, Any]:
    """A letter as people are shown it."""
    return {
        "id": letter.id,
        "reason": letter.reason,
        "failed_at": letter.failed_at,
        "attempts": letter.attempts,
        "source": letter.source,
        "hostname": letter.hostname,
        "goes_to": goes_to(queue, letter),
        "payload": letter.payload,
    }


def replayed(queue: QueueName, letter: Letter, payload: Any, limits: Limits) -> bytes:
    """What goes into the next queue; raises NotReplayableError.

    An event passes the same checks as at the door of the ingestor; an alert forgets its attempts.
    """
    if goes_to(queue, letter) == "alerts":
        if not isinstance(payload, dict) or not isinstance(payload.get("alert_id"), str):
            raise NotReplayableError("an alert must be a JSON object with an alert_id")
        return orjson.dumps({name: value for name, value in payload.items() if name != "delivery"})
    event = dict(payload) if isinstance(payload, dict) else payload
    if isinstance(event, str):
        event = _parsed(event)
    admission = admit([event], limits, str(uuid_utils.uuid7()), now_rfc3339(), may_hold_nul=True)
    if admission.refused:
        raise NotReplayableError(admission.refused[0].reason)
    ((_, item),) = admission.events
    return item


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Unreadable(text.encode("utf-8", "replace"), f"not valid JSON: {error}")


def _failed_at(letter: Letter | None) -> str:
    return (letter and letter.failed_at) or ""


async def _merged(
    sources: Sequence[AsyncIterator[Letter]], most: int, choose: Callable[..., int]
) -> AsyncIterator[Letter]:
    """Up to `most` letters of sources that are in order, `choose` (min, max) by the time they failed."""
    heads = [await anext(source, None) for source in sources]
    for _ in range(most):
        left = [n for n, head in enumerate(heads) if head is not None]
        if not left:
            return
        chosen = choose(left, key=lambda n: _failed_at(heads[n]))
        letter = heads[chosen]
        heads[chosen] = await anext(sources[chosen], None)
        if letter is not None:
            yield letter


class Pile:
    """The letters of one queue that lie in one shard. Every method may raise redis.RedisError."""

    def __init__(self, shard: AsyncShard, queue: QueueName) -> None:
        keys = shard.keys
        self.shard = shard
        self.queue: QueueName = queue
        self._key = {"ingest": keys.ingest_dead, "alerter": keys.events.dead, "moog": keys.alerts.dead}[queue]
        self._move = shard.client.register_script(script_source("move_letters"))

    async def depth(self) -> int:
        """How many there are."""
        return int(await self.shard.client.llen(self._key))

    async def page(self, offset: int, limit: int) -> list[Letter]:
        """Letters from `offset` on, the newest first."""
        raws: Any = await self.shard.client.lrange(self._key, offset, offset + limit - 1)
        return [read_letter(raw, self.shard.number, index) for index, raw in enumerate(raws, offset)]

    async def newest_first(self, most: int) -> AsyncIterator[Letter]:
        """The newest `most` letters."""
        for offset in range(0, most, CHUNK):
            letters = await self.page(offset, min(CHUNK, most - offset))
            for letter in letters:
                yield letter
            if len(letters) < CHUNK:
                return

    async def oldest_first(self, most: int) -> AsyncIterator[Letter]:
        """The oldest `most` letters; what comes anew meanwhile is not among them, and moves none."""
        for left in range(0, most, CHUNK):
            letters = await self.oldest(left, min(CHUNK, most - left))
            for letter in letters:
                yield letter
            if len(letters) < CHUNK:
                return

    async def oldest(self, left: int, limit: int) -> list[Letter]:
        """Up to `limit` letters, the oldest first, without the `left` oldest of all."""
        raws: Any = await self.shard.client.lrange(self._key, -(left + limit), -(left + 1))
        return [
            read_letter(raw, self.shard.number, -(left + number))
            for number, raw in enumerate(reversed(raws), 1)
        ]

    async def replay(self, letters: Sequence[tuple[Letter, bytes]]) -> int:
        """Send letters on as what goes with them; returns how many were still there.

        All of them must go the same way.
        """
        if not letters:
            return 0
        (way,) = {goes_to(self.queue, letter) for letter, _ in letters}
        target = self.shard.keys.alert_queue if way == "alerts" else self.shard.keys.ingest_queue
        return await self._moved(letters, target)

    async def put_back(self, raws: Sequence[bytes]) -> None:
        """Add letters, the oldest first, as the oldest of all."""
        for last in range(len(raws), 0, -CHUNK):
            await self.shard.client.rpush(self._key, *reversed(raws[max(0, last - CHUNK) : last]))

    async def discard(self, letters: Sequence[Letter]) -> int:
        """Drop letters; returns how many were still there."""
        return await self._moved([(letter, b"") for letter in letters], self._key) if letters else 0

    async def _moved(self, letters: Sequence[tuple[Letter, bytes]], target: str) -> int:
        args: list[bytes | str | int] = [f"taken by {uuid.uuid4()}", int((letters[0][0].index or 0) >= 0)]
        for letter, item in letters:
            args += (letter.raw, "" if letter.index is None else letter.index, item)
        return int(await self._move(keys=[self._key, target], args=args))


class DeadLetters:
    """One dead letter queue, of all shards together. Every method may raise redis.RedisError."""

    def __init__(self, shards: Iterable[AsyncShard], queue: QueueName) -> None:
        self.queue: QueueName = queue
        self.piles = [Pile(shard, queue) for shard in shards]

    async def depth(self) -> int:
        """How many there are."""
        return sum([await pile.depth() for pile in self.piles])

    async def page(self, offset: int, limit: int) -> list[Letter]:
        """Letters from `offset` on, the newest first."""
        if len(self.piles) == 1:
            return await self.piles[0].page(offset, limit)
        letters = [letter async for letter in self.newest_first(offset + limit)]
        return letters[offset:]

    async def newest_first(self, most: int) -> AsyncIterator[Letter]:
        """The newest `most` letters; those of different shards are put in order by the time they failed."""
        async for letter in _merged([pile.newest_first(most) for pile in self.piles], most, max):
            yield letter

    async def oldest_first(self) -> AsyncIterator[Letter]:
        """Every letter that is there now, the oldest first, as far as nobody takes any away meanwhile."""
        depths = [await pile.depth() for pile in self.piles]
        sources = [pile.oldest_first(depth) for pile, depth in zip(self.piles, depths, strict=True)]
        async for letter in _merged(sources, sum(depths), min):
            yield letter

    async def oldest_one(self) -> Letter | None:
        """The oldest letter of all."""
        found = [letter for pile in self.piles for letter in await pile.oldest(0, 1)]
        return min(found, key=_failed_at, default=None)

    async def find(self, letter_id: str) -> Letter | None:
        """The letter of that name."""
        async for letter in self.newest_first(await self.depth()):
            if letter.id == letter_id:
                return letter
        return None

    async def replay(self, letter: Letter, item: bytes) -> bool:
        """Send a letter on as `item`, in its own shard; False if it was not there any more."""
        return bool(await self._pile_of(letter).replay([(letter, item)]))

    async def discard(self, letter: Letter) -> bool:
        """Drop a letter; False if it was not there any more."""
        return bool(await self._pile_of(letter).discard([letter]))

    def _pile_of(self, letter: Letter) -> Pile:
        return next(pile for pile in self.piles if pile.shard.number == letter.shard)


Decide = Callable[[Letter], bytes | None]
"""What a letter becomes; None leaves it where it is."""


@dataclass
class Sweep:
    """Goes through a queue once, a chunk at a time, in each shard from the oldest letter on; what stays is passed.

    It looks at as many letters as there were in the beginning, so that one that fails again at once is not met again.
    """

    letters: DeadLetters
    wanted: LetterFilter
    most: int = 0
    looked_at: int = 0
    moved: int = 0
    failed: int = 0
    _piles: list[tuple[Pile, int]] = field(default_factory=list)
    _left: int = 0

    @classmethod
    async def over(cls, letters: DeadLetters, wanted: LetterFilter) -> Self:
        """A sweep over what lies there now."""
        piles = [(pile, await pile.depth()) for pile in letters.piles]
        return cls(letters, wanted, sum(depth for _, depth in piles), _piles=piles)

    def account(self) -> dict[str, Any]:
        """What was meant, and what came of it, for the history."""
        return {**asdict(self.wanted), "replayed": self.moved, "failed": self.failed}

    async def replay_chunk(self, decide: Decide, most: int = CHUNK) -> bool:
        """Replay what is meant of the next `most`; False when there are no more."""
        pile, chunk = await self._next(most)
        ways: dict[str, list[tuple[Letter, bytes]]] = {}
        stay = 0
        for letter in chunk:
            item = decide(letter) if self.wanted.takes(letter) else None
            if item is None:
                stay += 1
                self.failed += self.wanted.takes(letter)
            else:
                ways.setdefault(goes_to(self.letters.queue, letter), []).append((letter, item))
        if pile is not None:
            for listed in ways.values():
                self.moved += await pile.replay(listed)
        self._left += stay
        return pile is not None

    async def discard_chunk(self) -> bool:
        """Discard the next ones; False when there are no more."""
        pile, chunk = await self._next(CHUNK)
        taken = [letter for letter in chunk if self.wanted.takes(letter)]
        if pile is not None:
            self.moved += await pile.discard(taken)
        self._left += len(chunk) - len(taken)
        return pile is not None

    async def _next(self, most: int) -> tuple[Pile | None, list[Letter]]:
        """The next letters and the pile they lie in; None after the last pile."""
        while self._piles:
            pile, ahead = self._piles[0]
            chunk = await pile.oldest(self._left, min(most, ahead)) if ahead else []
            if chunk:
                self._piles[0] = (pile, ahead - len(chunk))
                self.looked_at += len(chunk)
                return pile, chunk
            del self._piles[0]
            self._left = 0
        return None, []
