"""rsyslog's side of `mutt rsyslog-forward`: the confirmation protocol of omprog, as pure state.

rsyslog writes one line a message to our standard input and waits for one answer each
(`confirmMessages="on"`): `OK`, or anything else for "send it again later". With
`useTransactions="on"` it wraps them in BEGIN TRANSACTION and COMMIT TRANSACTION.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

OK: Final = "OK"
DEFER: Final = "DEFER_COMMIT"
BEGIN: Final = b"BEGIN TRANSACTION"
COMMIT: Final = b"COMMIT TRANSACTION"

# As long as the ingestor remembers event ids (the default of INGEST_DEDUP_WINDOW_SECONDS).
REMEMBER_SECS: Final = 3600.0
REMEMBER_LINES: Final = 100_000
LONGEST_ANSWER: Final = 200


class DeliveryError(Exception):
    """The events are not (all) delivered; the text says why and what to do, in one line."""


class Conversation:
    """Answers one line after the other; `deliver` takes lines and raises DeliveryError.

    Nothing is answered with OK before it is delivered. Inside a transaction only the commit may fail:
    rsyslog forgets the messages deferred before one that failed (rsyslog issue 2420), but repeats the
    whole transaction when its commit fails.
    """

    def __init__(self, deliver: Callable[[Sequence[bytes]], None]) -> None:
        self._deliver = deliver
        self.deferred: list[bytes] = []
        self.in_transaction = False

    def answer(self, line: bytes) -> str:
        """The line to send back for `line` (without its newline)."""
        if line == BEGIN:
            self.in_transaction = True
            return OK
        if line == COMMIT:
            self.in_transaction = False
            lines, self.deferred = self.deferred, []
            return self._delivered(lines)
        if self.in_transaction:
            self.deferred.append(line)
            return DEFER
        return self._delivered([line])

    def _delivered(self, lines: list[bytes]) -> str:
        try:
            if lines:
                self._deliver(lines)
        except DeliveryError as failure:
            return error_answer(str(failure))
        return OK


def error_answer(text: str) -> str:
    """An answer that rsyslog takes for a failure: one short line that is none of its keywords."""
    return ("error: " + " ".join(text.split()))[:LONGEST_ANSWER]


@dataclass(slots=True, eq=False)
class Pending:
    """One event between rsyslog's line and MUTT's answer; `body` is its JSON with its event id."""

    line: bytes
    body: bytes
    seen_at: float
    delivered: bool = False


class Unconfirmed:
    """Lines that rsyslog may send again, with the event that was made of each.

    A line that comes again after a failed delivery is the same event: it keeps its event id, and is
    not sent again if it had arrived. Two equal lines in one batch are two events. What has arrived
    and is not seen again is forgotten after `REMEMBER_SECS`; what has not is kept.
    """

    def __init__(
        self, make_body: Callable[[bytes], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make_body = make_body
        self._clock = clock
        self._by_line: dict[bytes, list[Pending]] = {}

    def __len__(self) -> int:
        return len(self._by_line)

    def restore(self, pendings: Iterable[Pending]) -> None:
        """Add events that an earlier process could not deliver."""
        for pending in pendings:
            self._by_line.setdefault(pending.line, []).append(pending)

    def take(self, lines: Sequence[bytes]) -> list[Pending]:
        """The events of one batch of lines, remembered from now on."""
        now = self._clock()
        self._forget(now)
        seen: Counter[bytes] = Counter()
        batch = []
        for line in lines:
            known = self._by_line.setdefault(line, [])
            if seen[line] == len(known):
                known.append(Pending(line, self._make_body(line), now))
            pending = known[seen[line]]
            pending.seen_at = now
            seen[line] += 1
            batch.append(pending)
        return batch

    def undelivered(self) -> list[Pending]:
        """Every event that has not arrived, oldest first; also those that rsyslog may have forgotten."""
        return [pending for known in self._by_line.values() for pending in known if not pending.delivered]

    def confirm(self, batch: Sequence[Pending]) -> None:
        """Forget a batch that has arrived: rsyslog is about to be told so."""
        for pending in batch:
            known = self._by_line[pending.line]
            known.remove(pending)
            if not known:
                del self._by_line[pending.line]

    def _forget(self, now: float) -> None:
        too_many = len(self._by_line) - REMEMBER_LINES
        if not self._by_line or (too_many <= 0 and not self._stale(next(iter(self._by_line)), now)):
            return
        for number, line in enumerate(list(self._by_line)):
            if self._stale(line, now if number >= too_many else math.inf):
                del self._by_line[line]

    def _stale(self, line: bytes, now: float) -> bool:
        return all(
            pending.delivered and now - pending.seen_at > REMEMBER_SECS for pending in self._by_line[line]
        )
