"""How much each rule, host and unmatched pattern had to do, counted with the settlement of each batch.

Because a batch is settled once, it is counted once. The windows are those of the rates (telemetry.rates).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.telemetry.rates import Window

HOURS: Final = Window("1h", 3600, 26 * 3600)
DAYS: Final = Window("24h", 86400, 32 * 86400)
HOSTS_MOST: Final = 10_000
PATTERNS_MOST: Final = 1_000
"""Hosts and patterns kept for an hour; when there are more, those with the fewest events go."""
SAMPLE_MAX_BYTES: Final = 4096


@dataclass(frozen=True)
class Activity:
    """Events of a batch by the rule that handled them, and all its events by host."""

    rules: Mapping[int, int] = field(default_factory=dict)
    hosts: Mapping[str, int] = field(default_factory=dict)

    def flat(self) -> Iterator[str | int]:
        """As arguments of the script: name, count, name, count …, rules first."""
        for counts in (self.rules, self.hosts):
            for name, count in counts.items():
                yield name
                yield count


def activity_keys(keys: KeySpace, now_secs: float) -> list[str]:
    """Keys of the counters of now: hits of the hour, of the day, hosts, patterns, samples."""
    hour, day = int(now_secs) // HOURS.length_secs, int(now_secs) // DAYS.length_secs
    return [
        keys.activity("hits", HOURS.name, hour),
        keys.activity("hits", DAYS.name, day),
        keys.activity("hosts", HOURS.name, hour),
        keys.activity("patterns", HOURS.name, hour),
        keys.activity("samples", HOURS.name, hour),
    ]
