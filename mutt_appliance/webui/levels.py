"""Where availabilities come from: Prometheus, or MUTT's own counters where it does not answer or has no data."""

from __future__ import annotations

import asyncio

from mutt_appliance.config import Settings
from mutt_appliance.queueing.outcomes import COMPONENTS, Component, read_outcomes
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.webui.prometheus import PrometheusError, query
from mutt_appliance.webui.slo import AVAILABILITY, BURN_WINDOWS, METRICS, Measured, value_of
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.levels")


def targets(settings: Settings) -> dict[Component, float]:
    """Share of requests that are to succeed, by component."""
    return {"ingestor": settings.slo_ingestor_target, "forwarder": settings.slo_forwarder_target}


async def measure(stores: Stores, hours: int) -> dict[Component, Measured]:
    """Availabilities in the last `hours` and in each window of burn rates. Raises redis.RedisError."""
    from_prometheus = await asyncio.gather(*(_ask_prometheus(stores, one, hours) for one in COMPONENTS))
    found = dict(zip(COMPONENTS, from_prometheus, strict=True))
    if all(one is not None and one.availability is not None for one in found.values()):
        return {name: one for name, one in found.items() if one is not None}
    own = await own_measures(stores, hours)
    return {
        name: one if one is not None and one.availability is not None else own[name]
        for name, one in found.items()
    }


async def own_measures(stores: Stores, hours: int) -> dict[Component, Measured]:
    """The same by MUTT's own counters, which leave out what senders did wrong. Raises redis.RedisError."""
    spans = {*BURN_WINDOWS.values(), hours * 3600}
    outcomes = await read_outcomes(stores.redis, stores.keys, spans)
    return {
        component: Measured(
            "mutt",
            outcomes[component][hours * 3600].availability,
            {window: outcomes[component][span].availability for window, span in BURN_WINDOWS.items()},
        )
        for component in COMPONENTS
    }


async def _ask_prometheus(stores: Stores, component: Component, hours: int) -> Measured | None:
    """None when it does not answer."""

    async def one(window: str) -> float | None:
        promql = AVAILABILITY.format(metric=METRICS[component], window=window)
        return value_of(await query(stores.settings.prometheus_url, promql))

    try:
        whole, *windows = await asyncio.gather(one(f"{hours}h"), *(one(window) for window in BURN_WINDOWS))
    except PrometheusError as error:
        log.debug("no service levels", prometheus=stores.settings.prometheus_url, error=str(error))
        return None
    return Measured("prometheus", whole, dict(zip(BURN_WINDOWS, windows, strict=True)))
