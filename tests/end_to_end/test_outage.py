"""Moogsoft goes away under load: nothing is dead-lettered for it, only probes go out, and all arrives by age."""

from __future__ import annotations

import itertools
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Stores
from tests.support.line import Line, event, new_id, running_line
from tests.support.moogsoft import OK, Answer
from tests.support.waiting import wait_until
from tests.support.windows import most_in_a_window

CONCURRENCY = 20
BATCH_SECS = 0.25
# Far below what the outage keeps waiting: nothing is to be shed for it.
THRESHOLDS = {"ALERTER_QUEUE_WARN_THRESHOLD": "100", "ALERTER_QUEUE_SHED_THRESHOLD": "200"}


@dataclass(frozen=True)
class Outage:
    """How long Moogsoft is away, events a second meanwhile, the rate limit after it, seconds between probes."""

    secs: float
    events_per_sec: int
    limit: int
    probe_secs: float
    probe_max_secs: float

    @property
    def probes_most(self) -> int:
        """Probes that may go out while it lasts."""
        count, at, interval = 0, self.probe_secs, self.probe_secs
        while at <= self.secs:
            count += 1
            interval = min(2 * interval, self.probe_max_secs)
            at += interval
        return count


class Sender:
    """Posts events in the order of their numbers until told to stop."""

    def __init__(self, line: Line, events_per_sec: int) -> None:
        self._line = line
        self._batch = round(events_per_sec * BATCH_SECS)
        self._prefix = new_id("outage")
        self.stopping = threading.Event()
        self.sent: list[str] = []

    def run(self) -> None:
        numbers = itertools.count()
        while not self.stopping.wait(BATCH_SECS):
            ids = [f"{self._prefix}-{next(numbers)}" for _ in range(self._batch)]
            assert self._line.post([event(event_id=each) for each in ids]).status == 200
            self.sent += ids


@contextmanager
def sending(line: Line, events_per_sec: int) -> Iterator[Sender]:
    sender = Sender(line, events_per_sec)
    thread = threading.Thread(target=sender.run)
    thread.start()
    try:
        yield sender
    finally:
        sender.stopping.set()
        thread.join()


def metric(line: Line, name: str, **labels: str) -> float:
    """Of the forwarders, added up over other labels."""
    with urllib.request.urlopen(line.appliance.url("/metrics", "METRICS_PORT_MOOG"), timeout=5) as answer:  # noqa: S310
        text = answer.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


SHORT = Outage(secs=16, events_per_sec=120, limit=250, probe_secs=1, probe_max_secs=4)
LONG = Outage(secs=600, events_per_sec=120, limit=300, probe_secs=5, probe_max_secs=30)


@pytest.mark.parametrize(
    "outage",
    [SHORT, pytest.param(LONG, marks=(pytest.mark.ha, pytest.mark.timeout(1500)))],
    ids=["short", "ten_minutes"],
)
def test_an_outage_costs_probes_and_nothing_else(stores: Stores, outage: Outage) -> None:
    settings: dict[str, Any] = {
        **THRESHOLDS,
        # Two batches at once may overtake each other on their way to the alert queue.
        "ALERTER_BATCHES_AT_ONCE": "1",
        "MOOG_RETRY_BASE_DELAY": "1",
        "MOOG_RATE_LIMIT": str(outage.limit),
        "MOOG_MAX_CONCURRENCY": str(CONCURRENCY),
        "MOOG_CIRCUIT_PROBE_INTERVAL": str(outage.probe_secs),
        "MOOG_CIRCUIT_PROBE_MAX_INTERVAL": str(outage.probe_max_secs),
        "FORWARDER_WORKERS": "2",
    }
    with running_line(stores, **settings) as line, sending(line, outage.events_per_sec) as sender:
        wait_until(lambda: len(line.moogsoft.accepted_ids()) > 100, 15, "all is well at first")
        line.moogsoft.answer = lambda _: Answer(503)
        began = time.monotonic()
        wait_until(lambda: metric(line, "mutt_moog_circuit_state") == 1, 10, "the circuit opens")
        time.sleep(1)
        opening = metric(line, "mutt_moog_requests_total", status="fail")
        time.sleep(outage.secs / 2)
        # The second half: nobody listens at all.
        line.moogsoft.stop()
        time.sleep(max(0.0, began + outage.secs - time.monotonic()))
        probes = metric(line, "mutt_moog_requests_total", status="fail") - opening
        waiting = line.redis.llen("mutt:alert_queue") + line.redis.zcard("mutt:retry:moog")
        dead = [line.redis.llen(f"mutt:dlq:{stage}") for stage in ("ingest", "alerter", "moog")]
        line.moogsoft.answer = lambda _: OK
        line.moogsoft.start()
        back = time.monotonic()
        wait_until(
            lambda: metric(line, "mutt_moog_circuit_state") == 0, outage.probe_max_secs + 5, "it closes"
        )
        closed = time.monotonic()
        time.sleep(3)
        sender.stopping.set()
        time.sleep(2 * BATCH_SECS)
        drain_secs = len(sender.sent) / outage.limit + 120
        wait_until(
            lambda: len(set(delivered(line))) == len(sender.sent),
            drain_secs,
            f"all of {len(sender.sent)} arrive; {line.appliance.log_tail(800)}",
            interval_secs=0.5,
        )
        arrivals = [request.at for request in line.moogsoft.accepted() if request.at > back]
        order = [int(each.rsplit("-", 1)[1]) for each in delivered(line, back)]
        behind = max(place - number for place, number in enumerate(order, min(order)))
        per_second = len(arrivals) / (arrivals[-1] - arrivals[0])
        print(
            f"\naway {outage.secs:g} s under {outage.events_per_sec} events/s: {opening:g} requests failed at first, "
            f"{probes:g} probes (at most {outage.probes_most} allowed), {waiting} alerts waited, dead letters {dead}; "
            f"closed {closed - back:.1f} s after it was back, drained at {per_second:.0f}/s of {outage.limit}/s, "
            f"{behind} places behind at most"
        )
        assert dead == [0, 0, 0]
        assert [line.redis.llen(f"mutt:dlq:{stage}") for stage in ("ingest", "alerter", "moog")] == [0, 0, 0]
        assert 1 <= probes <= outage.probes_most + 1
        assert opening <= 2 * CONCURRENCY + 5
        assert waiting > 200
        assert most_in_a_window(arrivals, 1.0) <= outage.limit
        assert per_second > outage.limit / 2
        # The oldest come first, and what one forwarder has in hand the other overtakes for a second or two at most.
        assert max(order[: 2 * CONCURRENCY]) - min(order) < 4 * CONCURRENCY + 30
        assert behind <= 2 * outage.limit
        assert len(delivered(line)) == len(set(delivered(line)))


def delivered(line: Line, since: float = 0.0) -> list[str]:
    """Ids of the events whose alerts were accepted, in the order of the answers."""
    return [
        str(each["custom_info"]["event_id"])
        for request in line.moogsoft.accepted()
        if request.at >= since
        for each in request.events
    ]
