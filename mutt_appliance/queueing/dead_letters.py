"""The dead letter queues as those who deal with them see them: look, filter, replay, discard (asyncio).

A letter is named by the SHA-1 of its bytes: whoever was quicker has taken it, and nothing else is meant by its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
import redis.asyncio
import uuid_utils

from mutt_appliance.events.admission import Limits, Unreadable, admit
from mutt_appliance.queueing.dead_letter import now_rfc3339
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import script_source

QueueName = Literal["ingest", "alerter", "moog"]
QUEUES: Final[tuple[QueueName, ...]] = ("ingest", "alerter", "moog")
SHED_SOURCE: Final = "alerter-shed"
CHUNK: Final = 200


class NotReplayableError(Exception):
    """What the letter holds cannot go on its way; the text says what must be corrected."""


@dataclass(frozen=True)
class Letter:
    """A dead letter: `raw` as it lies in Redis, `payload` as JSON or, where it is none, as text."""

    raw: bytes
    reason: str
    failed_at: str | None
    attempts: int | None
    source: str
    payload: Any

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
    """Which letters: `reason` and `text` are parts of it in any case, `hostname` the whole name."""

    reason: str | None = None
    hostname: str | None = None
    text: str | None = None

    def takes(self, letter: Letter) -> bool:
        """True for a letter that is meant."""
        if self.reason is not None and self.reason.casefold() not in letter.reason.casefold():
            return False
        if self.hostname is not None and (letter.hostname or "").casefold() != self.hostname.casefold():
            return False
        if self.text is None:
            return True
        return self.text.casefold() in _shown(letter).casefold()

    @property
    def everything(self) -> bool:
        """True if it takes every letter."""
        return self == LetterFilter()


def _shown(letter: Letter) -> str:
    return letter.payload if isinstance(letter.payload, str) else orjson.dumps(letter.payload).decode()


def read_letter(raw: bytes) -> Letter:
    """A letter as it lies in the queue; one that is none of ours is shown as it is."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or "payload" not in document:
        return Letter(raw, "not a dead letter of MUTT", None, None, "", raw.decode("utf-8", "replace"))
    attempts = document.get("attempts")
    failed_at = document.get("failed_at")
    return Letter(
        raw,
        str(document.get("reason", "")),
        failed_at if isinstance(failed_at, str) else None,
        attempts if type(attempts) is int else None,
        str(document.get("source", "")),
        document["payload"],
    )


def goes_to(queue: QueueName, letter: Letter) -> Literal["events", "alerts"]:
    """Where a letter goes on: refused and poisonous events to be matched, alerts to be forwarded."""
    return "alerts" if queue == "moog" or letter.source == SHED_SOURCE else "events"


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


class DeadLetters:
    """One dead letter queue. Every method may raise redis.RedisError."""

    def __init__(self, client: redis.asyncio.Redis, keys: KeySpace, queue: QueueName) -> None:
        self._client = client
        self._keys = keys
        self.queue: QueueName = queue
        self._key = {"ingest": keys.ingest_dead, "alerter": keys.events.dead, "moog": keys.alerts.dead}[queue]
        self._move = client.register_script(script_source("move_letters"))

    async def depth(self) -> int:
        """How many there are."""
        return int(await self._client.llen(self._key))

    async def page(self, offset: int, limit: int) -> list[Letter]:
        """Letters from `offset` on, the newest first."""
        raws: Any = await self._client.lrange(self._key, offset, offset + limit - 1)
        return [read_letter(raw) for raw in raws]

    async def newest_first(self, most: int) -> AsyncIterator[Letter]:
        """The newest `most` letters."""
        for offset in range(0, most, CHUNK):
            letters = await self.page(offset, min(CHUNK, most - offset))
            for letter in letters:
                yield letter
            if len(letters) < CHUNK:
                return

    async def oldest(self, left: int, limit: int) -> list[Letter]:
        """Up to `limit` letters, the oldest first, without the `left` oldest of all."""
        raws: Any = await self._client.lrange(self._key, -(left + limit), -(left + 1))
        return [read_letter(raw) for raw in reversed(raws)]

    async def find(self, letter_id: str) -> Letter | None:
        """The letter of that name."""
        async for letter in self.newest_first(await self.depth()):
            if letter.id == letter_id:
                return letter
        return None

    async def replay(self, letters: Sequence[tuple[Letter, bytes]]) -> int:
        """Send letters on as what goes with them; returns how many were still there.

        All of them must go the same way.
        """
        if not letters:
            return 0
        (way,) = {goes_to(self.queue, letter) for letter, _ in letters}
        target = self._keys.alert_queue if way == "alerts" else self._keys.ingest_queue
        args = [part for letter, item in letters for part in (letter.raw, item)]
        return int(await self._move(keys=[self._key, target], args=args))

    async def discard(self, letters: Sequence[Letter]) -> int:
        """Drop letters; returns how many were still there."""
        args = [part for letter in letters for part in (letter.raw, b"")]
        return int(await self._move(keys=[self._key, self._key], args=args)) if args else 0


Decide = Callable[[Letter], bytes | None]
"""What a letter becomes; None leaves it where it is."""


@dataclass
class Sweep:
    """Goes through a queue from the oldest letter on, once, a chunk at a time; what stays is stepped over.

    It looks at `most` letters, so that one that fails again at once is not met again.
    """

    letters: DeadLetters
    wanted: LetterFilter
    most: int
    looked_at: int = 0
    moved: int = 0
    failed: int = 0
    _left: int = 0

    async def replay_chunk(self, decide: Decide) -> bool:
        """Replay the next ones; False when there are no more."""
        chunk = await self._next()
        ways: dict[str, list[tuple[Letter, bytes]]] = {}
        stay = 0
        for letter in chunk:
            item = decide(letter) if self.wanted.takes(letter) else None
            if item is None:
                stay += 1
                self.failed += self.wanted.takes(letter)
            else:
                ways.setdefault(goes_to(self.letters.queue, letter), []).append((letter, item))
        for listed in ways.values():
            self.moved += await self.letters.replay(listed)
        self._left += stay
        return bool(chunk) and self.looked_at < self.most

    async def discard_chunk(self) -> bool:
        """Discard the next ones; False when there are no more."""
        chunk = await self._next()
        taken = [letter for letter in chunk if self.wanted.takes(letter)]
        self.moved += await self.letters.discard(taken)
        self._left += len(chunk) - len(taken)
        return bool(chunk) and self.looked_at < self.most

    async def _next(self) -> list[Letter]:
        chunk = await self.letters.oldest(self._left, min(CHUNK, self.most - self.looked_at))
        self.looked_at += len(chunk)
        return chunk
