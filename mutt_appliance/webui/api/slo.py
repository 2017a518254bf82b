"""/slo: service levels of the components."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from pydantic import Field

from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Strict
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.prometheus import PrometheusError, query
from mutt_appliance.webui.slo import QUERIES, State, level_of, value_of
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.slo")
FRESH_SECS = 30.0


class ComponentSlo(Strict):
    """How a component does; null where Prometheus has no data."""

    target: float
    availability: float | None = Field(description="Share of requests that succeeded")
    error_budget_remaining: float | None = Field(description="Share that is left, below 0 when overspent")
    burn_rate: float | None = Field(description="1 spends the budget exactly in the window")
    state: State
    window_hours: int


class Slo(Strict):
    """Service levels by component: ingestor, forwarder."""

    window_hours: int
    components: dict[str, ComponentSlo]


@operation("GET", "/slo", tag="Dashboard", role=Role.VIEWER, answer=Slo)
async def get_slo(call: Call) -> Reply:
    """Get service levels from Prometheus (PROMETHEUS_URL).

    The state is unknown where Prometheus is away or has no data.
    """
    stores = call.stores
    settings = await stores.live_settings()
    hours = settings.slo_window_hours
    targets = {"ingestor": settings.slo_ingestor_target, "forwarder": settings.slo_forwarder_target}
    found = await stores.cached(f"slo {hours}", lambda: _availabilities(stores, hours), FRESH_SECS)
    components = {
        name: {**asdict(level_of(found[name], target)), "window_hours": hours}
        for name, target in targets.items()
    }
    return Reply({"window_hours": hours, "components": components})


OPERATIONS = (get_slo,)


async def _availabilities(stores: Stores, hours: int) -> dict[str, float | None]:
    async def one(promql: str) -> float | None:
        try:
            answer: Any = await query(stores.settings.prometheus_url, promql.format(hours=hours))
        except PrometheusError as error:
            log.info("no service levels", prometheus=stores.settings.prometheus_url, error=str(error))
            return None
        return value_of(answer)

    values = await asyncio.gather(*(one(promql) for promql in QUERIES.values()))
    return dict(zip(QUERIES, values, strict=True))
