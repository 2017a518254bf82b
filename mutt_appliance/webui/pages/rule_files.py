"""Rules from a file, and rules tried on a message."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.rules_files import import_rules
from mutt_appliance.webui.api.rules_test import try_event
from mutt_appliance.webui.pages.visit import Visit, fields_of, page
from mutt_appliance.webui.problems import Problem


@page("GET", "/rules/import", Role.OPERATOR)
async def import_form(visit: Visit) -> web.Response:
    """The form."""
    return visit.show(
        "rules-import.html", values={"format": "yaml", "mode": "merge", "text": ""}, plan=None, problem=None
    )


@page("POST", "/rules/import", Role.OPERATOR)
async def import_posted(visit: Visit) -> web.Response:
    """Tell what would change; once that was seen, do it."""
    fields = fields_of(visit.form, empty_is_null=False)
    apply = fields.get("apply") == "true"
    text = fields.get("file") or fields.get("text") or ""
    values = {"format": fields.get("format", "yaml"), "mode": fields.get("mode", "merge"), "text": text}
    try:
        plan = await visit.ask(import_rules, body={**values, "dry_run": not apply})
    except Problem as problem:
        return visit.show(
            "rules-import.html", status=problem.status, values=values, plan=None, problem=problem
        )
    if not apply:
        return visit.show("rules-import.html", values=values, plan=plan, problem=None)
    words = f"{len(plan['added'])} added, {len(plan['changed'])} changed, {len(plan['removed'])} deleted"
    return await visit.go("/rules", f"Rules imported: {words}.")


@page("GET", "/rules/try")
async def try_form(visit: Visit) -> web.Response:
    """The form."""
    return visit.show("rules-try.html", values={}, trial=None, problem=None)


@page("POST", "/rules/try")
async def try_posted(visit: Visit) -> web.Response:
    """Which rule gets a message."""
    values = fields_of(visit.form)
    event = {name: value for name, value in values.items() if value is not None}
    severity = event.get("syslog_severity", "")
    if severity.isdecimal():
        event["syslog_severity"] = int(severity)
    try:
        trial = await visit.ask(try_event, body={"event": event})
    except Problem as problem:
        return visit.show("rules-try.html", status=problem.status, values=values, trial=None, problem=problem)
    shown: dict[str, Any] = {"values": values, "trial": trial, "problem": None}
    return visit.show("rules-try.html", **shown)


PAGES = (import_form, import_posted, try_form, try_posted)
