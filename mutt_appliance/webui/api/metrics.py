"""/metrics of the API: how many events come in."""

from __future__ import annotations

import time
from typing import Any

from pydantic import Field

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Strict
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.rates import rate_keys, rates_of
from mutt_appliance.webui.stores import Stores

TAG = "Dashboard"


class MetricsSummary(Strict):
    """Events per second: now, and averages."""

    current_rate_1m: float
    avg_rate_15m: float
    avg_rate_1h: float


class MetricsChart(Strict):
    """Events per second of each hour, UTC, the present one last."""

    labels: list[str] = Field(description="24 times such as 13:00")
    data: list[float]


class Metrics(Strict):
    """Rates of ingestion."""

    summary: MetricsSummary
    chart_24h: MetricsChart


@operation("GET", "/metrics", tag=TAG, role=Role.VIEWER, answer=Metrics)
async def get_metrics(call: Call) -> Reply:
    """Get rates of ingestion.

    At most METRICS_CACHE_TTL seconds old.
    """
    stores = call.stores
    return Reply(
        await stores.cached("metrics", lambda: read_metrics(stores), stores.settings.metrics_cache_ttl)
    )


OPERATIONS = (get_metrics,)


async def read_metrics(stores: Stores) -> dict[str, Any]:
    """The rates, in one round trip. Raises redis.RedisError."""
    now, prefix = time.time(), stores.keys.metrics_prefix
    keys = rate_keys(prefix, now)
    values: Any = await stores.redis.mget(keys)
    counts = {key: int(value) for key, value in zip(keys, values, strict=True) if value is not None}
    rates = rates_of(prefix, counts, now)
    return {
        "summary": {
            "current_rate_1m": rates.current_1m,
            "avg_rate_15m": rates.avg_15m,
            "avg_rate_1h": rates.avg_1h,
        },
        "chart_24h": {
            "labels": [label for label, _ in rates.hours],
            "data": [value for _, value in rates.hours],
        },
    }
