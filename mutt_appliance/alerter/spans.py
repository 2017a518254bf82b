"""Spans of the sampled events of a batch. The batch is worked on as a whole; only these are looked at singly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from mutt_appliance.alerter.batch import Batch
from mutt_appliance.alerter.fates import fates, parsed
from mutt_appliance.events.tracing import TRACEPARENT_FIELD
from mutt_appliance.queueing.events import Settled
from mutt_appliance.telemetry.spans import Attribute, Span, Tracing
from mutt_appliance.telemetry.traceparent import parse_traceparent

SPAN_NAME = "process event"
_MARK = f'"{TRACEPARENT_FIELD}"'.encode()


class NoSpans:
    """Of a batch that nobody follows."""

    def note(self, what: str) -> None:
        """Nothing."""

    def settled(self, settled: Settled) -> None:
        """Nothing."""


NO_SPANS = NoSpans()


class BatchSpans(NoSpans):
    """Begun when the batch was decided, for what is sampled; each alert then continues the span of its event."""

    def __init__(
        self, tracing: Tracing, queue: str, items: Sequence[bytes], batch: Batch, claimed_ns: int
    ) -> None:
        self._queue = queue
        self._batch = batch
        self._spans: dict[bytes, Span] = {}
        for item in items:
            if _MARK in item and item not in self._spans:
                self._begin(tracing, item, claimed_ns)
        for index, item in enumerate(batch.items if self._spans else ()):
            alert, span = batch.alerts[index], self._spans.get(item)
            if alert is not None and span is not None and span.sampled:
                batch.alerts[index] = _continuing(alert, span.traceparent)
        self.note("decided")

    def _begin(self, tracing: Tracing, item: bytes, claimed_ns: int) -> None:
        event = parsed(item)
        given = event.get(TRACEPARENT_FIELD) if event is not None else None
        if parse_traceparent(given) is not None:
            self._spans[item] = tracing.begin(SPAN_NAME, "consumer", given, claimed_ns)

    def note(self, what: str) -> None:
        """Something happened to the whole batch now."""
        for span in self._spans.values():
            span.note(what)

    def settled(self, settled: Settled) -> None:
        """The batch is settled: each span ends with what became of its event."""
        spans, self._spans = self._spans, {}
        every = fates(spans, self._batch, shed=settled.shed > 0)
        for span, fate in zip(spans.values(), every, strict=True):
            attributes: dict[str, Attribute | None] = {
                "messaging.system": "redis",
                "messaging.operation.type": "process",
                "messaging.destination.name": self._queue,
                "messaging.batch.message_count": self._batch.size,
                **{f"mutt.{name}": value for name, value in fate.facts().items()},
            }
            span.end(attributes, "dead letter" if fate.outcome in ("dead", "shed") else "")

    def failed(self, error: BaseException) -> None:
        """Nothing was settled: the events come again, and get a span of their own then."""
        for span in self._spans.values():
            span.end({"messaging.system": "redis"}, type(error).__name__)
        self._spans = {}


def spans_of_batch(
    tracing: Tracing | None, queue: str, items: Sequence[bytes], batch: Batch, claimed_ns: int
) -> AbstractContextManager[NoSpans]:
    """Spans around what is done with a decided batch; without traces there is nothing around it."""
    if tracing is None:
        return nullcontext(NO_SPANS)
    return _ending(BatchSpans(tracing, queue, items, batch, claimed_ns))


@contextmanager
def _ending(spans: BatchSpans) -> Iterator[BatchSpans]:
    try:
        yield spans
    except BaseException as error:
        spans.failed(error)
        raise


def _continuing(alert: bytes, traceparent: str) -> bytes:
    """The alert, a JSON object that is not empty, with the span that it continues."""
    return b'{%b:"%b",%b' % (_MARK, traceparent.encode(), alert[1:])
