"""Sends sample events at a steady rate, as relays do: in batches and one by one, again until answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from mutt_appliance.demo.messages import MessageMaker

TICK_SECS: Final = 0.1
# Every so many ticks a batch is sent twice, as a relay does that did not hear the answer.
REPEAT_EVERY: Final = 50
RETRY_FIRST_SECS: Final = 0.1
RETRY_MAX_SECS: Final = 2.0
REQUEST_TIMEOUT_SECS: Final = 10.0


@dataclass
class Sent:
    """Events so far. offered = accepted + refused + those that nobody answered for yet.

    `accepted` counts an event once, however often it was sent; `duplicates` are those that MUTT
    recognised; `attempts_failed` are requests without an answer, or with 503.
    """

    offered: int = 0
    accepted: int = 0
    refused: int = 0
    duplicates: int = 0
    attempts_failed: int = 0

    @property
    def unanswered(self) -> int:
        """Events whose fate the sender does not know."""
        return self.offered - self.accepted - self.refused


class RefusedRequestError(Exception):
    """The ingestor does not take the request, and would not take it again."""


class Traffic:
    """One sender. `run` works until `stop` is called; what it has in hand then gets a last chance."""

    def __init__(self, url: str, api_key: str, rate: int, maker: MessageMaker) -> None:
        self._url = url
        self._headers = {"X-API-KEY": api_key, "Content-Type": "application/x-ndjson"}
        self._rate = rate
        self._maker = maker
        self._stopping = asyncio.Event()
        self.sent = Sent()

    def stop(self) -> None:
        """Make no new events."""
        self._stopping.set()

    async def run(self) -> None:
        """Send until stopped. Raises RefusedRequestError."""
        loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECS)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            started, ticks, due = loop.time(), 0, 0.0
            while not self._stopping.is_set():
                ticks += 1
                due += self._rate * TICK_SECS
                events = [self._maker.next() for _ in range(int(due))]
                due -= len(events)
                if events:
                    await self._send(session, events, repeat=ticks % REPEAT_EVERY == 0)
                pause = started + ticks * TICK_SECS - loop.time()
                if pause < -1:
                    # The appliance was away: go on at the rate, do not catch up.
                    started, ticks = loop.time(), 0
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), max(pause, 0))

    async def _send(
        self, session: aiohttp.ClientSession, events: Sequence[dict[str, Any]], *, repeat: bool
    ) -> None:
        """Most as one batch of NDJSON, the last alone as a plain object."""
        self.sent.offered += len(events)
        *batch, single = events
        if batch:
            await self._deliver(session, batch)
            if repeat:
                await self._post(session, batch)
        await self._deliver(session, [single])

    async def _deliver(self, session: aiohttp.ClientSession, events: Sequence[dict[str, Any]]) -> None:
        """Send until there is an answer; ids make that harmless."""
        delay = RETRY_FIRST_SECS
        while True:
            refused = await self._post(session, events)
            if refused is not None:
                # What is a duplicate here was queued by an attempt whose answer was lost.
                self.sent.accepted += len(events) - refused
                self.sent.refused += refused
                return
            self.sent.attempts_failed += 1
            if self._stopping.is_set() and delay > RETRY_MAX_SECS / 2:
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, RETRY_MAX_SECS)

    async def _post(self, session: aiohttp.ClientSession, events: Sequence[dict[str, Any]]) -> int | None:
        """How many of `events` were refused; None when the request may be sent again."""
        body = b"\n".join(orjson.dumps(event) for event in events)
        try:
            async with session.post(self._url, data=body) as response:
                if response.status >= 500:
                    return None
                document = orjson.loads(await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        if "refused" not in document:
            raise RefusedRequestError(f"{self._url} answered {response.status}: {document.get('error')}")
        self.sent.duplicates += int(document["duplicates"])
        return len(document["refused"])
