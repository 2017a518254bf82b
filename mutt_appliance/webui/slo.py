"""Service levels: how many requests succeeded, against what was promised (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from mutt_appliance.queueing.outcomes import Component

State = Literal["ok", "warning", "breached", "unknown"]
Source = Literal["prometheus", "mutt"]
Urgency = Literal["page", "ticket", "none"]
WARNING_BELOW: Final = 0.25
"""Share of the error budget that is left when it begins to be worth a look."""

AVAILABILITY: Final = 'sum(rate({metric}{{status="success"}}[{window}])) / sum(rate({metric}[{window}]))'
"""PromQL of a component's availability, as the specification has it."""
METRICS: Final[Mapping[Component, str]] = {
    "ingestor": "mutt_ingest_requests_total",
    "forwarder": "mutt_moog_requests_total",
}
BURN_WINDOWS: Final[Mapping[str, int]] = {
    "5m": 300,
    "30m": 1800,
    "1h": 3600,
    "6h": 6 * 3600,
    "24h": 24 * 3600,
}
"""Windows of burn rates, in seconds."""


@dataclass(frozen=True)
class BurnPair:
    """A burn rate above `factor` in the long window; the short one tells that it is still so."""

    urgency: Urgency
    long: str
    short: str
    factor: float


# Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts": 2 % of a budget of 30 days
# spent in an hour, 5 % in six, 10 % in a day (there with 2 h beside it, which is none of our windows).
BURN_PAIRS: Final = (
    BurnPair("page", "1h", "5m", 14.4),
    BurnPair("page", "6h", "30m", 6),
    BurnPair("ticket", "24h", "1h", 3),
)


@dataclass(frozen=True)
class Measured:
    """Availability (0 to 1, None where nobody knows) in the window of the SLO and in each of BURN_WINDOWS."""

    source: Source
    availability: float | None
    in_windows: Mapping[str, float | None]


@dataclass(frozen=True)
class Level:
    """What a measured availability means for its target."""

    target: float
    availability: float | None
    error_budget_remaining: float | None
    burn_rate: float | None
    state: State
    source: Source
    burn_rates: Mapping[str, float | None]
    burning: Urgency


def level_of(measured: Measured, target: float) -> Level:
    """`burn_rate` 1 spends the budget exactly in the window; the budget left is below 0 once it is overspent."""
    rates = {window: _burn_rate(value, target) for window, value in measured.in_windows.items()}
    urgency = burning(rates)
    burn_rate = _burn_rate(measured.availability, target)
    if measured.availability is None or burn_rate is None:
        return Level(target, None, None, None, "unknown", measured.source, rates, urgency)
    left = round(1 - burn_rate, 4)
    state: State = "breached" if left < 0 else "warning" if left < WARNING_BELOW else "ok"
    available = round(measured.availability, 6)
    return Level(target, available, left, burn_rate, state, measured.source, rates, urgency)


def _burn_rate(availability: float | None, target: float) -> float | None:
    return None if availability is None else round((1 - availability) / (1 - target), 4)


def burning(rates: Mapping[str, float | None]) -> Urgency:
    """What the burn rates of all windows ask for."""
    for pair in BURN_PAIRS:
        long, short = rates.get(pair.long), rates.get(pair.short)
        if long is not None and short is not None and min(long, short) > pair.factor:
            return pair.urgency
    return "none"


def value_of(answer: Any) -> float | None:
    """The one number of an answer of /api/v1/query; None for no data."""
    try:
        (sample,) = answer["data"]["result"]
        value = float(sample["value"][1])
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    # NaN: there were no requests.
    return value if 0 <= value <= 1 else None
