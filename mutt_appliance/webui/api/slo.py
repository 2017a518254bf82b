"""/slo: service levels of the components."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import Field

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import Strict
from mutt_appliance.webui.levels import measure, targets
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.slo import Source, State, Urgency, level_of

FRESH_SECS = 30.0


class ComponentSlo(Strict):
    """How a component does; null where there were no requests."""

    target: float
    availability: float | None = Field(description="Share of requests that succeeded")
    error_budget_remaining: float | None = Field(description="Share that is left, below 0 when overspent")
    burn_rate: float | None = Field(description="1 spends the budget exactly in the window")
    state: State
    window_hours: int
    source: Source = Field(description="prometheus (PROMETHEUS_URL), or mutt: MUTT's own counters")
    burn_rates: dict[str, float | None] = Field(
        description="Burn rate of the last 5m, 30m, 1h, 6h and 24h; 1 spends the budget exactly in the window"
    )
    burning: Urgency = Field(description="What the burn rates ask for: page, ticket, none")


class Slo(Strict):
    """Service levels by component: ingestor, forwarder."""

    window_hours: int
    components: dict[str, ComponentSlo]


@operation("GET", "/slo", tag="Dashboard", role=Role.VIEWER, answer=Slo)
async def get_slo(call: Call) -> Reply:
    """Get service levels.

    From Prometheus (PROMETHEUS_URL); from MUTT's own counters where it does not answer or has no data.
    The state is unknown where there were no requests.
    """
    stores = call.stores
    settings = await stores.live_settings()
    hours = settings.slo_window_hours
    measured = await stores.cached(f"slo {hours}", lambda: measure(stores, hours), FRESH_SECS)
    components = {
        name: {**asdict(level_of(measured[name], target)), "window_hours": hours}
        for name, target in targets(settings).items()
    }
    return Reply({"window_hours": hours, "components": components})


OPERATIONS = (get_slo,)
