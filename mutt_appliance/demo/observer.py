"""What can be seen of a running appliance, once a second: counters, queue depths, process states."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from mutt_appliance.demo.places import Places
from mutt_appliance.demo.receiver import Receiver
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.scripts import text
from mutt_appliance.queueing.shards import BlockingShard

HISTORY_KEPT: Final = 60
METRICS_TIMEOUT_SECS: Final = 1.0
METRICS_OF: Final = ("server_port_ingestor", "metrics_port_alerter", "metrics_port_moog")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True)
class Counters:
    """Totals since the start of the appliance."""

    ingested: int = 0
    refused: int = 0
    duplicates: int = 0
    matched: int = 0
    unhandled: int = 0
    forwarded: int = 0
    retried: int = 0
    dead: int = 0


@dataclass(frozen=True)
class Depths:
    """What lies in Redis now; `in_hand` is claimed and not yet settled, of events and of alerts."""

    ingest_queue: int = 0
    events_in_hand: int = 0
    alert_queue: int = 0
    alerts_in_hand: int = 0
    retrying: int = 0
    dead_ingest: int = 0
    dead_alerter: int = 0
    dead_moog: int = 0

    @property
    def events(self) -> int:
        """Events on their way."""
        return self.ingest_queue + self.events_in_hand

    @property
    def alerts(self) -> int:
        """Alerts on their way."""
        return self.alert_queue + self.alerts_in_hand + self.retrying

    @property
    def dead(self) -> int:
        """All dead letters."""
        return self.dead_ingest + self.dead_alerter + self.dead_moog


@dataclass(frozen=True)
class Snapshot:
    """One look. `rates` are events per second of the last looks, oldest first."""

    elapsed_secs: float
    counters: Counters
    depths: Depths | None
    states: Mapping[str, str]
    rates: tuple[float, ...] = ()
    answers: Mapping[str, int] = field(default_factory=dict)
    recent: tuple[Mapping[str, Any], ...] = ()


class Observer:
    """Looks at the appliance from outside, as any operator can: its metrics and its Redis."""

    def __init__(self, places: Places, shards: Iterable[BlockingShard], receiver: Receiver) -> None:
        self._places = places
        self._shards = shards
        self._receiver = receiver
        self._samples: dict[str, Samples] = {}
        self._looked = time.monotonic()
        self._rates: deque[float] = deque(maxlen=HISTORY_KEPT)
        self._ingested = 0

    def look(self, states: Mapping[str, str], elapsed_secs: float) -> Snapshot:
        """Ask for everything; what does not answer keeps its last counters, and depths are None."""
        for field_name in METRICS_OF:
            samples = self._ask(field_name)
            if samples is not None:
                self._samples[field_name] = samples
        try:
            depths = self.depths()
        except (RedisError, OSError):
            depths = None
        counters = counters_of({k: v for part in self._samples.values() for k, v in part.items()}, depths)
        now = time.monotonic()
        if now > self._looked:
            self._rates.append(max(0, counters.ingested - self._ingested) / (now - self._looked))
        self._looked, self._ingested = now, counters.ingested
        return Snapshot(
            elapsed_secs,
            counters,
            depths,
            dict(states),
            tuple(self._rates),
            dict(self._receiver.answers),
            tuple(self._receiver.recent),
        )

    def rules_seen(self) -> int:
        """Active rules that an alerter has loaded, whether it can use them or not."""
        samples = self._ask("metrics_port_alerter") or {}
        names = ("mutt_alerter_cache_rules_count", "mutt_alerter_cache_rule_errors")
        return int(sum(total(samples, name) for name in names))

    def depths(self) -> Depths:
        """Queue depths: for each shard a round trip, and one for each worker's list. Raises redis.RedisError."""
        return Depths(*map(sum, zip(*map(_depths_of, self._shards), strict=True)))

    def _ask(self, field_name: str) -> Samples | None:
        try:
            url = self._places.url(field_name, "/metrics")
            with urllib.request.urlopen(url, timeout=METRICS_TIMEOUT_SECS) as answer:  # noqa: S310 - our own
                return parse_metrics(answer.read().decode())
        except (OSError, urllib.error.URLError, ValueError):
            return None


def _depths_of(shard: BlockingShard) -> tuple[int, ...]:
    keys, held = shard.keys, []
    for queue in (keys.events, keys.alerts):
        names: Any = shard.client.smembers(queue.workers)
        held.append(sum(int(shard.client.llen(queue.processing(text(name)))) for name in names))
    with shard.client.pipeline(transaction=False) as pipe:
        for name in (
            keys.ingest_queue,
            keys.alert_queue,
            keys.ingest_dead,
            keys.events.dead,
            keys.alerts.dead,
        ):
            pipe.llen(name)
        pipe.zcard(keys.retry)
        ingest, alerts, dead_ingest, dead_alerter, dead_moog, retrying = pipe.execute()
    return (ingest, held[0], alerts, held[1], retrying, dead_ingest, dead_alerter, dead_moog)


def parse_metrics(exposition: str) -> Samples:
    """Prometheus' text format as {(name, sorted labels): value}."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """Sum of the samples of `name` that have these labels."""
    wanted = set(labels.items())
    return sum(value for (this, have), value in samples.items() if this == name and wanted <= set(have))


def counters_of(samples: Samples, depths: Depths | None) -> Counters:
    """The counters of the view, from the metrics of all roles."""

    def events(outcome: str) -> int:
        return int(total(samples, "mutt_ingest_events_total", outcome=outcome))

    def processed(status: str) -> int:
        return int(total(samples, "mutt_alerter_events_processed_total", status=status))

    def alerts(status: str) -> int:
        return int(total(samples, "mutt_moog_alerts_processed_total", status=status))

    return Counters(
        ingested=events("queued"),
        refused=events("refused"),
        duplicates=events("duplicate"),
        matched=processed("handled"),
        unhandled=processed("unhandled"),
        forwarded=alerts("success"),
        retried=alerts("error"),
        dead=depths.dead if depths else alerts("dlq") + events("refused") + processed("poison"),
    )
