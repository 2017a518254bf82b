"""The audit log: what became of each event that a rule handled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from mutt_appliance.store.rule_files import HANDLINGS
from mutt_appliance.webui.api.audit_logs import list_audit_logs
from mutt_appliance.webui.api.audit_rows import find_events, get_audit_row
from mutt_appliance.webui.pages.visit import Visit, page
from mutt_appliance.webui.problems import Problem

FILTERS: Final = ("hostname", "rule_id", "start_date", "end_date", "handling", "environment", "team")
RANGES: Final = (
    ("last hour", timedelta(hours=1)),
    ("24 hours", timedelta(days=1)),
    ("7 days", timedelta(days=7)),
)
EMPTY: Final[dict[str, Any]] = {"items": [], "next_cursor": None}


@page("GET", "/audit-log")
async def audit_log(visit: Visit) -> web.Response:
    """Rows of the log; with a text in the query what a search for it finds."""
    query = visit.query
    wanted = {name: query[name] for name in FILTERS if name in query}
    paging = {name: query[name] for name in ("page", "cursor", "limit") if name in query}
    problem = None
    try:
        if "q" in query:
            times = {
                "since": wanted.get("start_date"),
                "until": wanted.get("end_date"),
                "hostname": wanted.get("hostname"),
            }
            given = {name: value for name, value in times.items() if value is not None}
            some = {name: value for name, value in paging.items() if name != "page"}
            found = await visit.ask(find_events, query={"q": query["q"], **given, **some})
        else:
            found = await visit.ask(list_audit_logs, query={**wanted, **paging})
    except Problem as error:
        problem, found = error, EMPTY
    now = datetime.now(UTC)
    status: dict[str, Any] = {} if problem is None else {"status": problem.status}
    number = query.get("page", "1")
    return visit.show(
        "audit-log.html",
        found=found,
        problem=problem,
        query=query,
        wanted=wanted,
        number=int(number) if number.isdecimal() and len(number) < 8 else 1,
        ranges=[(words, (now - back).strftime("%Y-%m-%dT%H:%M")) for words, back in RANGES],
        handlings=HANDLINGS,
        **status,
    )


@page("GET", "/audit-log/event")
async def audit_row(visit: Visit) -> web.Response:
    """One row with everything that is known about the event."""
    given = {"received_at": visit.query["received_at"]} if "received_at" in visit.query else {}
    row = await visit.ask(get_audit_row, path={"event_id": visit.query.get("id", "")}, query=given)
    return visit.show("audit-row.html", row=row)


PAGES = (audit_log, audit_row)
