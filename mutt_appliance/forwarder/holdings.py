"""What a forwarder has claimed and not yet settled (plain bookkeeping, no I/O)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from mutt_appliance.forwarder.jobs import Job
from mutt_appliance.queueing.alerts import Outcome


class Holdings:
    """Jobs that wait for their request, items in a request, outcomes that Redis does not know yet.

    An item stays `known` until its settlement was confirmed, so that one whose answer was lost is
    settled again and never sent again.
    """

    def __init__(self, batch_size: int) -> None:
        """`batch_size` is the most jobs that share a request."""
        self._batch_size = batch_size
        self._known: set[bytes] = set()
        self.pending: deque[Job] = deque()
        self.unsettled: list[Outcome] = []
        self.requests = 0

    def __len__(self) -> int:
        return len(self._known)

    def strangers(self, items: Iterable[bytes]) -> list[bytes]:
        """Those of `items` that are not in hand, each once, in order."""
        return [item for item in dict.fromkeys(items) if item not in self._known]

    def take(self, item: bytes, prepared: Job | Outcome) -> None:
        """A claimed item, prepared: a job waits for its request, an outcome for its settlement."""
        self._known.add(item)
        if isinstance(prepared, Job):
            self.pending.append(prepared)
        else:
            self.unsettled.append(prepared)

    def requests_wanted(self, most: int) -> int:
        """How many requests it takes to send what is pending, up to `most`."""
        if self._batch_size == 1 or len(self.pending) <= 1:
            return min(len(self.pending), most)
        wanted = shared = 0
        for job in self.pending:
            if wanted >= most:
                return most
            if job.alone:
                wanted += 1
            else:
                # Every batch_size-th job that can share opens another request.
                wanted += shared % self._batch_size == 0
                shared += 1
        return wanted

    def next_batch(self) -> list[Job]:
        """Take the jobs of the next request off the pending ones; counts the request as under way."""
        batch = [self.pending.popleft()]
        while (
            self.pending
            and len(batch) < self._batch_size
            and not batch[0].alone
            and not self.pending[0].alone
        ):
            batch.append(self.pending.popleft())
        self.requests += 1
        return batch

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """A request ended: its items wait for their settlement."""
        self.requests -= 1
        self.unsettled += outcomes

    def send_singly(self, jobs: Sequence[Job]) -> None:
        """A request ended without telling which of its jobs is bad: each is next, alone."""
        self.requests -= 1
        for job in reversed(jobs):
            self.pending.appendleft(Job(job.item, job.alert, job.payload, job.failed_before, alone=True))

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Redis confirmed the first of the unsettled outcomes."""
        del self.unsettled[: len(outcomes)]
        self._known.difference_update(outcome.item for outcome in outcomes)

    def forget_pending(self) -> None:
        """The lease is lost: what was not sent yet is somebody else's now."""
        self._known.difference_update(job.item for job in self.pending)
        self.pending.clear()

    def release_pending(self) -> None:
        """Give back what was not sent, so that the oldest is the next one out of the queue."""
        self.unsettled += [Outcome("release", job.item) for job in reversed(self.pending)]
        self.pending.clear()
