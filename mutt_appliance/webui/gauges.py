"""Gauges of the web UI that tell of the whole appliance: service levels, partitions of the audit log."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Container
from datetime import UTC, datetime

import psycopg2

from mutt_appliance.queueing.client import RedisError
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.partitions import months_ahead, partition_name, partition_names
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import WebuiMetrics
from mutt_appliance.webui.levels import own_measures, targets
from mutt_appliance.webui.slo import level_of
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.gauges")
LEVELS_SECS = 15.0
PARTITIONS_SECS = 60.0
MONTHS_LOOKED_AT = 24
"""AUDIT_PARTITIONS_AHEAD is at most this."""


class Gauges:
    """Sets them now and then, for as long as `keep` runs; a store that is away leaves the last values."""

    def __init__(self, stores: Stores, metrics: WebuiMetrics) -> None:
        self._stores = stores
        self._metrics = metrics

    async def keep(self) -> None:
        """Until cancelled. Not part of the loop that beats: a database that hangs takes its time."""
        await asyncio.gather(
            _again_and_again(self._set_levels, LEVELS_SECS),
            _again_and_again(self._set_partitions, PARTITIONS_SECS),
        )

    async def _set_partitions(self) -> None:
        names = await self._stores.run(partition_names)
        self._metrics.partitions_ahead.set(months_covered(names, datetime.now(UTC)))

    async def _set_levels(self) -> None:
        """From MUTT's own counters: what came from Prometheus would only go back there."""
        settings = await self._stores.live_settings()
        measures = await own_measures(self._stores, settings.slo_window_hours)
        for component, target in targets(settings).items():
            level = level_of(measures[component], target)
            self._metrics.slo_target.labels(component).set(target)
            self._metrics.slo_availability.labels(component).set(_or_nan(level.availability))
            self._metrics.slo_budget.labels(component).set(_or_nan(level.error_budget_remaining))
            for window, rate in level.burn_rates.items():
                self._metrics.slo_burn_rate.labels(component, window).set(_or_nan(rate))


async def _again_and_again(work: Callable[[], Awaitable[None]], pause_secs: float) -> None:
    while True:
        try:
            await work()
        except (RedisError, OSError, StoreUnavailable, psycopg2.Error) as error:
            log.debug("gauges stay as they are", error=str(error))
        await asyncio.sleep(pause_secs)


def months_covered(names: Container[str], now: datetime) -> int:
    """How many months in a row after that of `now` have a partition; -1 if that of `now` has none."""
    missing = (
        place
        for place, month in enumerate(months_ahead(now, MONTHS_LOOKED_AT))
        if partition_name(month) not in names
    )
    return next(missing, MONTHS_LOOKED_AT + 1) - 1


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
