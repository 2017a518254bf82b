"""Batches on their way to the ingestor: sent, tried again, split, or reported as not delivered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from mutt_appliance.cli.ingest_client import (
    IngestClient,
    KeyFileError,
    Outcome,
    UnreachableError,
    Verdict,
    judge,
)
from mutt_appliance.cli.omprog import DeliveryError, Pending, Unconfirmed
from mutt_appliance.cli.rsyslog_line import shortened
from mutt_appliance.cli.rsyslog_spool import Spool, SpoolError

LARGEST_BODY_BYTES: Final = 4 << 20
FIRST_DELAY_SECS: Final = 0.1
LONGEST_DELAY_SECS: Final = 5.0
SAME_TROUBLE_AGAIN_SECS: Final = 60.0
REASONS_SHOWN: Final = 3


class Delivery:
    """Delivers all of a batch within `give_up_after_secs`, or raises DeliveryError.

    What arrived before the failure is remembered and not sent again; what did not is in the spool, and
    is sent with the next batch whether rsyslog repeats it or not. `stopping` ends the wait for another
    attempt. `log` takes one line of text; the same trouble is told once a minute.
    """

    def __init__(
        self,
        client: IngestClient,
        unconfirmed: Unconfirmed,
        *,
        batch_size: int,
        give_up_after_secs: float,
        log: Callable[[str], None],
        spool: Spool | None = None,
        stopping: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._unconfirmed = unconfirmed
        self._batch_size = batch_size
        self._give_up_after_secs = give_up_after_secs
        self._log = log
        self._spool = spool
        self._spooled = False
        self._stopping = stopping
        self._sleep = sleep
        self._clock = clock
        self._trouble = ""
        self._trouble_told_at = 0.0

    def open_spool(self) -> None:
        """Send what an earlier process left behind; what cannot be sent now goes with the next batch."""
        if self._spool is None:
            return
        try:
            left_behind = self._spool.open()
        except SpoolError as error:
            self._log(str(error))
            return
        self._unconfirmed.restore(left_behind)
        if left_behind:
            self._spooled = True
            self._log(f"{len(left_behind)} events of an earlier run are still to be delivered")
            with suppress(DeliveryError):
                self.deliver([])

    def close_spool(self, deferred: Sequence[bytes]) -> None:
        """Keep what is not delivered, with the `deferred` lines of a transaction that was never committed."""
        self._unconfirmed.take(deferred)
        self._save()
        if self._spool is not None:
            self._spool.close()

    def deliver(self, lines: Sequence[bytes]) -> None:
        """Send one batch of rsyslog's lines; returns when the ingestor has all of them."""
        batch = self._unconfirmed.take(lines)
        deadline = self._clock() + self._give_up_after_secs
        try:
            for part in chunks(self._unconfirmed.undelivered(), self._batch_size):
                self._send(part, deadline)
        except DeliveryError:
            self._save()
            raise
        self._unconfirmed.confirm(batch)
        if self._spooled:
            self._save()
        if self._trouble:
            self._log(f"{self._client.url} takes events again")
            self._trouble = ""

    def _save(self) -> None:
        undelivered = self._unconfirmed.undelivered()
        if self._spool is None or not (undelivered or self._spooled):
            return
        try:
            self._spool.save(undelivered)
        except SpoolError as error:
            self._log(str(error))
        self._spooled = bool(undelivered)

    def _send(self, part: Sequence[Pending], deadline: float) -> None:
        delay = FIRST_DELAY_SECS
        while True:
            outcome, wait = self._attempt(part)
            if outcome.verdict is Verdict.DELIVERED:
                for pending in part:
                    pending.delivered = True
                self._tell_refused(outcome, len(part))
                return
            if outcome.verdict is Verdict.SPLIT and self._split(part, deadline):
                return
            self._tell_trouble(outcome.trouble)
            wait = max(delay, wait)
            if self._stopping() or self._clock() + wait > deadline:
                raise DeliveryError(f"{self._client.url} {outcome.trouble}")
            self._sleep(wait)
            delay = min(delay * 2, LONGEST_DELAY_SECS)

    def _attempt(self, part: Sequence[Pending]) -> tuple[Outcome, float]:
        """Outcome, and the least number of seconds to wait before another attempt."""
        try:
            answer = self._client.post(b"".join(each.body + b"\n" for each in part))
        except (UnreachableError, KeyFileError) as problem:
            return Outcome(Verdict.RETRY, trouble=str(problem)), 0.0
        # A long Retry-After is no reason to keep rsyslog waiting: it may send again later.
        return judge(answer), min(answer.retry_after_secs or 0.0, LONGEST_DELAY_SECS)

    def _split(self, part: Sequence[Pending], deadline: float) -> bool:
        """Send a batch that is too large in two halves, a single event shortened; False if that is no help."""
        if len(part) > 1:
            middle = len(part) // 2
            self._send(part[:middle], deadline)
            self._send(part[middle:], deadline)
            return True
        shorter = shortened(part[0].body)
        if len(shorter) >= len(part[0].body):
            return False
        self._log(f"an event of {len(part[0].body)} bytes is too large for {self._client.url}: shortened")
        part[0].body = shorter
        self._send(part, deadline)
        return True

    def _tell_refused(self, outcome: Outcome, sent: int) -> None:
        if outcome.refused:
            reasons = "; ".join(dict.fromkeys(outcome.refused[: REASONS_SHOWN * 10]))
            self._log(
                f"{len(outcome.refused)} of {sent} events went to the ingestor's dead letter queue: {reasons[:500]}"
            )

    def _tell_trouble(self, trouble: str) -> None:
        now = self._clock()
        if trouble != self._trouble or now - self._trouble_told_at > SAME_TROUBLE_AGAIN_SECS:
            self._log(f"{self._client.url} {trouble}")
            self._trouble, self._trouble_told_at = trouble, now


def chunks(batch: Sequence[Pending], size: int) -> Iterator[list[Pending]]:
    """Parts of at most `size` events and LARGEST_BODY_BYTES; one larger event is a part of its own."""
    part: list[Pending] = []
    length = 0
    for pending in batch:
        if part and (len(part) == size or length + len(pending.body) >= LARGEST_BODY_BYTES):
            yield part
            part, length = [], 0
        part.append(pending)
        length += len(pending.body) + 1
    if part:
        yield part
