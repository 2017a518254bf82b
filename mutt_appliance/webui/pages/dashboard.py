"""The dashboard, and the part of it that renews itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from mutt_appliance.webui.api.activity import get_activity
from mutt_appliance.webui.api.metrics import get_metrics
from mutt_appliance.webui.api.slo import get_slo
from mutt_appliance.webui.operations import Operation
from mutt_appliance.webui.pages.visit import Visit, page
from mutt_appliance.webui.problems import Problem


@page("GET", "/")
async def dashboard(visit: Visit) -> web.Response:
    """The pipeline at a glance."""
    return visit.show("dashboard.html", whole=True, **await _values(visit))


@page("GET", "/dashboard/live")
async def dashboard_live(visit: Visit) -> web.Response:
    """What static/dashboard.js puts in the place of two parts of the page."""
    return visit.show("dashboard-live.html", whole=False, **await _values(visit))


PAGES = (dashboard, dashboard_live)


async def _values(visit: Visit) -> dict[str, Any]:
    """Each part, or what kept it from being told: one store that is away must not hide the rest."""
    parts = {"metrics": get_metrics, "activity": get_activity, "slo": get_slo}
    answers = await asyncio.gather(*(_part(visit, operation) for operation in parts.values()))
    troubles = list(dict.fromkeys(answer.detail for answer in answers if isinstance(answer, Problem)))
    values = {
        name: None if isinstance(answer, Problem) else answer
        for name, answer in zip(parts, answers, strict=True)
    }
    settings = visit.stores.settings
    return {
        **values,
        "troubles": troubles,
        "now": datetime.now(UTC),
        "ingest_port": settings.server_port_ingestor,
    }


async def _part(visit: Visit, operation: Operation) -> Any:
    try:
        return await visit.ask(operation)
    except Problem as problem:
        return problem
