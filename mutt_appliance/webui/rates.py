"""Events per second, as the dashboard shows them, from the counters that the ingestors keep (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mutt_appliance.telemetry.rates import WINDOWS, keys_between

MINUTE, HOUR, _ = WINDOWS
CHART_HOURS = 24


@dataclass(frozen=True)
class Rates:
    """Averages (events per second) and the same for each of 24 hours of UTC, the present one last."""

    current_1m: float
    avg_15m: float
    avg_1h: float
    hours: Sequence[tuple[str, float]]


def rate_keys(prefix: str, now_secs: float) -> list[str]:
    """Keys of the counters that `rates_of` needs: the minutes of the last hour, then the hours of the day."""
    return [
        *keys_between(prefix, MINUTE, now_secs - 3600, now_secs),
        *keys_between(prefix, HOUR, now_secs - (CHART_HOURS - 1) * 3600, now_secs),
    ]


def rates_of(prefix: str, counts: Mapping[str, int], now_secs: float) -> Rates:
    """The rates at `now_secs`; a counter that is not in `counts` is 0."""

    def average(minutes: int) -> float:
        # The minute that has just begun and the whole ones before it.
        keys = keys_between(prefix, MINUTE, now_secs - 60 * minutes, now_secs)
        length = minutes * 60 + now_secs % 60
        return round(sum(counts.get(key, 0) for key in keys) / length, 2)

    hours = []
    for back in range(CHART_HOURS - 1, -1, -1):
        begun = (int(now_secs) // 3600 - back) * 3600
        (key,) = keys_between(prefix, HOUR, begun, begun)
        length = 3600 if back else max(now_secs - begun, 1.0)
        label = datetime.fromtimestamp(begun, UTC).strftime("%H:%M")
        hours.append((label, round(counts.get(key, 0) / length, 2)))
    return Rates(average(1), average(15), average(60), hours)
