"""Traffic for the ingestor at a steady rate, sent again until it is answered, and a record of all of it."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

import aiohttp
import orjson

from mutt_appliance.store.rule_files import RuleSpec
from tests.support.rules import rule

Kind = Literal["paged", "logged", "unmatched"]

TICK_SECS = 0.02
ANSWER_TIMEOUT_SECS = 10.0
AGAIN_AFTER_SECS = 0.2
DEVELOPMENT_HOST = "lab-1"
# Hosts that speak only of things no rule knows. Whether their events have an id of the sender's is in
# the name, because a counter of unmatched events has nothing but the host to tell it by.
HOSTS_WITH_IDS = tuple(f"known-{n}" for n in range(8))
HOSTS_WITHOUT_IDS = tuple(f"fresh-{n}" for n in range(8))
TEXTS = {
    "paged": "%LINK-3-UPDOWN: Interface GigabitEthernet0/{n}, changed state to down, sequence {token}",
    "logged": "%SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: admin] at line {n}, sequence {token}",
    "unmatched": "neighbour discovery took {n} ms, nothing to be done about it, sequence {token}",
}
RULES: tuple[RuleSpec, ...] = (
    rule("%LINK-3-UPDOWN", "Page_and_ticket"),
    rule(r"SEC_LOGIN-\d-LOGIN_\w+", "Log_only", "regex"),
)


@dataclass
class Offered:
    """One event and what its sender knows of it.

    `token` is in the event and nowhere else. `unknown` counts the attempts that were not answered
    with 2xx: each may have been taken in all the same.
    """

    token: str
    kind: Kind
    hostname: str
    event_id: str | None
    answered: bool = False
    unknown: int = 0

    def event(self) -> dict[str, Any]:
        """The event as it is sent, the same each time."""
        number = int(self.token) % 96
        whole: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(),
            "hostname": self.hostname,
            "message": TEXTS["paged" if self.hostname == DEVELOPMENT_HOST else self.kind].format(
                n=number, token=self.token
            ),
            "syslog_severity": 3,
            "token": self.token,
        }
        return whole if self.event_id is None else {**whole, "event_id": self.event_id}


def traffic(seed: int, first: int = 0) -> Iterator[Offered]:
    """Events without end, from number `first` on: 12 % paged, 8 % only logged, the rest unmatched; every other
    with an id."""
    chance = random.Random(seed)
    for number in itertools.count(first):
        token = f"{number:09d}"
        with_id = chance.random() < 0.5
        draw = chance.random()
        kind: Kind = "paged" if draw < 0.12 else "logged" if draw < 0.20 else "unmatched"
        if kind == "unmatched":
            hostname = chance.choice(HOSTS_WITH_IDS if with_id else HOSTS_WITHOUT_IDS)
        elif kind == "logged" and chance.random() < 0.5:
            hostname = DEVELOPMENT_HOST
        else:
            hostname = f"router-{chance.randrange(40)}"
        yield Offered(token, kind, hostname, f"sent-{seed}-{token}" if with_id else None)


@dataclass
class Load:
    """A sender in a thread of its own: batches and single events at given rates, in any number of requests at once.

    `api_key` may be changed at any time. A request that is not answered with 2xx is sent again, with the same
    ids, until it is: through the next of `more_urls`, if there are any. `refused` has what can never be right: a
    4xx, a 500, or an answer that does not account for every event. Of several loads on one appliance each has
    numbers of its own from `first` on; with `only` a load has the hosts that this is true for.
    """

    url: str
    api_key: str
    batches_per_sec: float = 25.0
    batch_size: int = 50
    singles_per_sec: float = 100.0
    senders: int = 24
    seed: int = 1
    first: int = 0
    only: Callable[[str], bool] | None = None
    more_urls: tuple[str, ...] = ()
    offered: list[Offered] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    # When requests were answered with 2xx (monotonic seconds).
    answered_at: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._abandoned.set()
        self._thread.join()

    def finish(self, timeout_secs: float) -> None:
        """Offer nothing more; wait until all of it is answered."""
        self._stopping.set()
        self._thread.join(timeout_secs)
        assert not self._thread.is_alive(), f"not all answered within {timeout_secs} s: {self.answers}"

    @property
    def answered(self) -> int:
        """How many events were answered with 2xx."""
        return sum(each.answered for each in self.offered)

    def longest_pause(self, since: float) -> float:
        """Longest time between two answers with 2xx from the last one before `since` on, in seconds."""
        times = sorted(self.answered_at)
        later = times[max(0, bisect_left(times, since) - 1) :]
        return max((after - before for before, after in itertools.pairwise(later)), default=math.inf)

    async def _run(self) -> None:
        started = time.monotonic()
        waiting: asyncio.Queue[list[Offered]] = asyncio.Queue()
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_SECS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            senders = [asyncio.create_task(self._send_all(session, waiting)) for _ in range(self.senders)]
            await self._offer(waiting)
            joined = asyncio.create_task(waiting.join())
            while not joined.done() and not self._abandoned.is_set():
                await asyncio.wait({joined, *senders}, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
                for sender in senders:
                    if sender.done():
                        sender.result()
            self.seconds = time.monotonic() - started
            for task in (joined, *senders):
                task.cancel()
            await asyncio.gather(joined, *senders, return_exceptions=True)

    async def _offer(self, waiting: asyncio.Queue[list[Offered]]) -> None:
        source = traffic(self.seed, self.first)
        if self.only is not None:
            only = self.only
            source = (each for each in source if only(each.hostname))
        started = time.monotonic()
        batches = singles = 0
        while not self._stopping.is_set():
            elapsed = time.monotonic() - started
            while batches < elapsed * self.batches_per_sec:
                batches += 1
                self._put(waiting, source, self.batch_size)
            while singles < elapsed * self.singles_per_sec:
                singles += 1
                self._put(waiting, source, 1)
            await asyncio.sleep(TICK_SECS)

    def _put(self, waiting: asyncio.Queue[list[Offered]], source: Iterator[Offered], count: int) -> None:
        group = list(itertools.islice(source, count))
        self.offered += group
        waiting.put_nowait(group)

    async def _send_all(self, session: aiohttp.ClientSession, waiting: asyncio.Queue[list[Offered]]) -> None:
        doors = itertools.cycle((self.url, *self.more_urls))
        while True:
            group = await waiting.get()
            documents = [each.event() for each in group]
            body = orjson.dumps(documents[0] if len(group) == 1 else documents)
            while not await self._post(session, group, body, next(doors)):
                for each in group:
                    each.unknown += 1
                await asyncio.sleep(AGAIN_AFTER_SECS)
            self.answered_at.append(time.monotonic())
            for each in group:
                each.answered = True
            waiting.task_done()

    async def _post(
        self, session: aiohttp.ClientSession, group: list[Offered], body: bytes, url: str
    ) -> bool:
        try:
            async with session.post(url, data=body, headers={"X-API-KEY": self.api_key}) as response:
                text = await response.read()
                self.answers[str(response.status)] += 1
                if response.status != 200:
                    if response.status != 503:
                        self.refused.append(f"{response.status}: {text[:300]!r}")
                    return False
                report = orjson.loads(text)
                if report["queued"] + report["duplicates"] != len(group) or report["refused"]:
                    self.refused.append(f"{len(group)} events were answered with {text[:300]!r}")
                return True
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers[type(error).__name__] += 1
            return False
