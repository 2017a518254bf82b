"""Service levels: what Prometheus says, against what was promised (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

State = Literal["ok", "warning", "breached", "unknown"]
WARNING_BELOW: Final = 0.25
"""Share of the error budget that is left when it begins to be worth a look."""

QUERIES: Final = {
    "ingestor": 'sum(rate(mutt_ingest_requests_total{{status="success"}}[{hours}h]))'
    " / sum(rate(mutt_ingest_requests_total[{hours}h]))",
    "forwarder": 'sum(rate(mutt_moog_requests_total{{status="success"}}[{hours}h]))'
    " / sum(rate(mutt_moog_requests_total[{hours}h]))",
}
"""PromQL of each component's availability."""


@dataclass(frozen=True)
class Level:
    """A component's availability (0 to 1, None where nobody knows) and what that means."""

    target: float
    availability: float | None
    error_budget_remaining: float | None
    burn_rate: float | None
    state: State


def level_of(availability: float | None, target: float) -> Level:
    """`burn_rate` 1 spends the budget exactly in the window; the budget left is below 0 once it is overspent."""
    if availability is None:
        return Level(target, None, None, None, "unknown")
    burn_rate = (1 - availability) / (1 - target)
    left = 1 - burn_rate
    state: State = "breached" if left < 0 else "warning" if left < WARNING_BELOW else "ok"
    return Level(target, round(availability, 6), round(left, 4), round(burn_rate, 4), state)


def value_of(answer: Any) -> float | None:
    """The one number of an answer of /api/v1/query; None for no data."""
    try:
        (sample,) = answer["data"]["result"]
        value = float(sample["value"][1])
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    # NaN: there were no requests.
    return value if 0 <= value <= 1 else None
