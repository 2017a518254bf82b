"""Rules: the list, one rule, and what is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from mutt_appliance.store.rule_files import HANDLINGS, MATCH_TYPES
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.activity import list_rule_hits
from mutt_appliance.webui.api.history import list_history
from mutt_appliance.webui.api.rules import (
    create_one_rule,
    delete_one_rule,
    get_rule,
    list_rules,
    update_one_rule,
)
from mutt_appliance.webui.api.rules_test import try_event, try_recent
from mutt_appliance.webui.pages.visit import Visit, fields_of, page
from mutt_appliance.webui.problems import Problem

HOME = "/rules"
PAGE_ROWS: Final = 100
NO_HITS: Final = {"hits_24h": 0, "hits_30d": 0}
EMPTY: Final[dict[str, Any]] = {
    "match_string": None,
    "trap_oid": None,
    "syslog_severity": None,
    "match_type": "contains",
    "priority": 100,
    "prod_handling": "Ticket_only",
    "dev_handling": "Log_only",
    "team_assignment": None,
    "is_active": True,
    "description": None,
}
FIELDS: Final = tuple(EMPTY)


@page("GET", HOME)
async def rules(visit: Visit) -> web.Response:
    """All rules, searched, filtered and sorted."""
    wanted = {
        name: visit.query[name] for name in ("q", "match_type", "is_active", "team") if name in visit.query
    }
    sort = visit.query.get("sort", "order")
    listed = await visit.ask(list_rules, query={**wanted, "sort": sort if sort != "hits" else "order"})
    hits = await _hits(visit)
    items = [{**rule, **hits.get(rule["id"], NO_HITS)} for rule in listed["items"]]
    never = visit.query.get("never_hit")
    if never:
        items = [rule for rule in items if not rule["hits_30d"]]
    if sort == "hits":
        items.sort(key=lambda rule: (-rule["hits_24h"], -rule["hits_30d"]))
    number = visit.query.get("page", "1")
    shown = max(1, int(number)) if number.isdecimal() and len(number) < 6 else 1
    first = (shown - 1) * PAGE_ROWS
    return visit.show(
        "rules.html",
        items=items[first : first + PAGE_ROWS],
        total=len(items),
        first=first,
        shown=shown,
        pages=max(1, -(-len(items) // PAGE_ROWS)),
        query=visit.query,
        sort=sort,
        match_types=MATCH_TYPES,
    )


@page("GET", "/rules/new", Role.OPERATOR)
async def new_rule(visit: Visit) -> web.Response:
    """An empty form, or one that begins with what the address says."""
    given = {name: visit.query[name] for name in FIELDS if name in visit.query}
    tried = {name: visit.query.get(name, "") for name in ("try_message", "try_hostname")}
    return _form(visit, {**EMPTY, **given}, title="New rule", tried=tried)


@page("POST", "/rules/new", Role.OPERATOR)
async def create(visit: Visit) -> web.Response:
    """Save a new rule, or try it."""
    return await _posted(visit, None)


@page("GET", "/rules/{id:\\d+}")
async def rule(visit: Visit) -> web.Response:
    """One rule with its hits and its history."""
    one = await visit.ask(get_rule, path=visit.path)
    hits = (await _hits(visit)).get(one["id"], NO_HITS)
    changes = await visit.ask(
        list_history, query={"entity": "alert_rule", "entity_id": str(one["id"]), "limit": "50"}
    )
    return visit.show("rule.html", rule=one, hits=hits, changes=changes["items"])


@page("GET", "/rules/{id:\\d+}/edit", Role.OPERATOR)
async def edit(visit: Visit) -> web.Response:
    """The form of a rule."""
    one = await visit.ask(get_rule, path=visit.path)
    return _form(visit, one, title=f"Rule {one['id']}", rule=one, version=one["version"])


@page("POST", "/rules/{id:\\d+}/edit", Role.OPERATOR)
async def save(visit: Visit) -> web.Response:
    """Save a rule, or try what it would be."""
    return await _posted(visit, visit.path["id"])


@page("GET", "/rules/{id:\\d+}/copy", Role.OPERATOR)
async def copy(visit: Visit) -> web.Response:
    """A new rule that begins as this one."""
    one = await visit.ask(get_rule, path=visit.path)
    return _form(visit, one, title=f"Copy of rule {one['id']}", action="/rules/new")


@page("POST", "/rules/{id:\\d+}/toggle", Role.OPERATOR)
async def toggle(visit: Visit) -> web.Response:
    """Switch a rule on or off."""
    active = visit.form.get("is_active") == "true"
    one = await visit.ask(
        update_one_rule, path=visit.path, body={"is_active": active}, version=visit.form.get("version")
    )
    return await visit.go(
        visit.form.get("back") or HOME, f"Rule {one['id']} is {'on' if one['is_active'] else 'off'}."
    )


@page("GET", "/rules/{id:\\d+}/delete", Role.OPERATOR)
async def ask_delete(visit: Visit) -> web.Response:
    """Ask before a rule is deleted."""
    one = await visit.ask(get_rule, path=visit.path)
    return visit.confirm(
        f"Delete rule {one['id']}?",
        detail=f"It matches {one['match_string'] or one['trap_oid']}. Events that only it matches will be counted as "
        "unhandled. To keep it for later, switch it off instead.",
        button="Delete",
        back=f"/rules/{one['id']}",
        version=str(one["version"]),
    )


@page("POST", "/rules/{id:\\d+}/delete", Role.OPERATOR)
async def delete(visit: Visit) -> web.Response:
    """Delete a rule."""
    await visit.ask(delete_one_rule, path=visit.path, version=visit.form.get("version"))
    return await visit.go(HOME, f"Rule {visit.path['id']} is deleted.")


PAGES = (rules, new_rule, create, rule, edit, save, copy, toggle, ask_delete, delete)


async def _posted(visit: Visit, rule_id: str | None) -> web.Response:
    """What the buttons of the form do; whatever comes of it, what was typed stays."""
    fields = fields_of(visit.form)
    action = fields.pop("action", "save")
    tried = {name: fields.pop(name, None) or "" for name in ("try_message", "try_hostname")}
    version = visit.form.get("version")
    shown: dict[str, Any] = {
        "title": "New rule" if rule_id is None else f"Rule {rule_id}",
        "rule": None if rule_id is None else {"id": rule_id},
        "version": version,
        "tried": tried,
    }
    body = {name: value for name, value in fields.items() if name in FIELDS}
    draft = {"rule": body, "replaces": rule_id}
    try:
        if action == "try":
            event = {"hostname": tried["try_hostname"] or "test", "message": tried["try_message"]}
            severity = body.get("syslog_severity")
            event |= {"trap_oid": body["trap_oid"]} if body.get("trap_oid") else {}
            event |= {"syslog_severity": int(severity)} if severity and severity.isdecimal() else {}
            shown["trial"] = await visit.ask(try_event, body={**draft, "event": event})
        elif action == "recent":
            shown["recent"] = await visit.ask(try_recent, body=draft)
        elif rule_id is None:
            made = await visit.ask(create_one_rule, body=body)
            return await visit.go(f"/rules/{made['id']}", f"Rule {made['id']} is saved and in force.")
        else:
            await visit.ask(update_one_rule, path={"id": rule_id}, body=body, version=version)
            return await visit.go(f"/rules/{rule_id}", f"Rule {rule_id} is saved and in force.")
    except Problem as problem:
        shown["problem"] = _below_body(problem)
    return _form(visit, {**EMPTY, **body}, **shown)


def _below_body(problem: Problem) -> Problem:
    """Faults of `body.rule.priority` are those of the field `priority`."""
    faults = [
        fault.model_copy(update={"field": fault.field.replace("body.rule.", "body.")})
        for fault in problem.errors
    ]
    return Problem(problem.status, problem.detail, faults, problem.headers)


def _form(
    visit: Visit,
    values: Mapping[str, Any],
    *,
    title: str,
    rule: Mapping[str, Any] | None = None,
    version: Any = None,
    action: str = "",
    problem: Problem | None = None,
    tried: Mapping[str, str] | None = None,
    trial: Any = None,
    recent: Any = None,
) -> web.Response:
    status: dict[str, Any] = {} if problem is None else {"status": problem.status}
    active = values["is_active"] in (True, "true")
    return visit.show(
        "rule-form.html",
        title=title,
        rule=rule,
        values={**values, "is_active": active},
        version=version,
        form_action=action,
        problem=problem,
        tried=tried or {"try_message": "", "try_hostname": ""},
        trial=trial,
        recent=recent,
        match_types=MATCH_TYPES,
        handlings=HANDLINGS,
        **status,
    )


async def _hits(visit: Visit) -> dict[int, dict[str, int]]:
    """Hits by rule; none of them while Redis is away."""
    try:
        found = await visit.ask(list_rule_hits)
    except Problem:
        return {}
    return {each["rule_id"]: each for each in found["items"]}
