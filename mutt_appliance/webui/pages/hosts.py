"""Development hosts, and the teams of hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.dev_hosts import add_one_dev_host, delete_dev_host, list_dev_hosts
from mutt_appliance.webui.api.host_lists import add_dev_hosts, set_teams
from mutt_appliance.webui.api.teams import add_one_team, delete_team, get_team, list_teams, update_team
from mutt_appliance.webui.operations import Operation
from mutt_appliance.webui.pages.visit import Visit, fields_of, page
from mutt_appliance.webui.problems import Problem

DEV_HOSTS, TEAMS = "/dev-hosts", "/teams"
SHOWN_MOST = 500


@dataclass(frozen=True)
class HostList:
    """One of the two lists: its page, and the operations behind it."""

    home: str
    template: str
    listed: Operation
    bulk: Operation


DEV_HOST_LIST = HostList(DEV_HOSTS, "dev-hosts.html", list_dev_hosts, add_dev_hosts)
TEAM_LIST = HostList(TEAMS, "teams.html", list_teams, set_teams)


@page("GET", DEV_HOSTS)
async def dev_hosts(visit: Visit) -> web.Response:
    """The list."""
    return await _show(visit, DEV_HOST_LIST)


@page("POST", DEV_HOSTS, Role.OPERATOR)
async def add_dev_host(visit: Visit) -> web.Response:
    """Add one."""
    return await _add(visit, DEV_HOST_LIST, add_one_dev_host)


@page("GET", "/dev-hosts/bulk", Role.OPERATOR)
async def dev_hosts_bulk(visit: Visit) -> web.Response:
    """The form for many."""
    return _bulk_form(visit, DEV_HOST_LIST)


@page("POST", "/dev-hosts/bulk", Role.OPERATOR)
async def dev_hosts_bulk_posted(visit: Visit) -> web.Response:
    """Tell what would change; once that was seen, do it."""
    return await _bulk(visit, DEV_HOST_LIST)


@page("GET", "/dev-hosts/remove", Role.OPERATOR)
async def ask_remove_dev_host(visit: Visit) -> web.Response:
    """Ask before a host leaves the list."""
    name = visit.query.get("hostname", "")
    detail = "From then on its events are handled as those of a production host."
    return visit.confirm(
        f"Take {name} off the list of development hosts?",
        detail=detail,
        button="Take off",
        back=DEV_HOSTS,
        hostname=name,
    )


@page("POST", "/dev-hosts/remove", Role.OPERATOR)
async def remove_dev_host(visit: Visit) -> web.Response:
    """Take it off."""
    name = visit.form.get("hostname", "")
    await visit.ask(delete_dev_host, path={"hostname": name})
    return await visit.go(DEV_HOSTS, f"{name} is no development host any more.")


@page("GET", TEAMS)
async def teams(visit: Visit) -> web.Response:
    """The list."""
    return await _show(visit, TEAM_LIST)


@page("POST", TEAMS, Role.OPERATOR)
async def add_team(visit: Visit) -> web.Response:
    """Add one."""
    return await _add(visit, TEAM_LIST, add_one_team)


@page("GET", "/teams/bulk", Role.OPERATOR)
async def teams_bulk(visit: Visit) -> web.Response:
    """The form for many."""
    return _bulk_form(visit, TEAM_LIST)


@page("POST", "/teams/bulk", Role.OPERATOR)
async def teams_bulk_posted(visit: Visit) -> web.Response:
    """Tell what would change; once that was seen, do it."""
    return await _bulk(visit, TEAM_LIST)


@page("GET", "/teams/edit", Role.OPERATOR)
async def team(visit: Visit) -> web.Response:
    """The form of one."""
    one = await visit.ask(get_team, path={"hostname": visit.query.get("hostname", "")})
    return visit.show("team.html", one=one, typed=one["team_assignment"], problem=None)


@page("POST", "/teams/edit", Role.OPERATOR)
async def change_team(visit: Visit) -> web.Response:
    """Give a host another team."""
    name, typed = visit.form.get("hostname", ""), visit.form.get("team_assignment", "")
    try:
        one = await visit.ask(
            update_team,
            path={"hostname": name},
            body={"team_assignment": typed},
            version=visit.form.get("version"),
        )
    except Problem as problem:
        there = await visit.ask(get_team, path={"hostname": name})
        return visit.show("team.html", status=problem.status, one=there, typed=typed, problem=problem)
    return await visit.go(TEAMS, f"{one['hostname']} belongs to {one['team_assignment']} now.")


@page("GET", "/teams/remove", Role.OPERATOR)
async def ask_remove_team(visit: Visit) -> web.Response:
    """Ask before a host loses its team."""
    name = visit.query.get("hostname", "")
    one = await visit.ask(get_team, path={"hostname": name})
    without = "Without one its alerts go to that of the rule, or to the default."
    detail = f"It belongs to {one['team_assignment']}. {without}"
    return visit.confirm(
        f"Take the team of {name} away?",
        detail=detail,
        button="Take away",
        back=TEAMS,
        hostname=name,
        version=str(one["version"]),
    )


@page("POST", "/teams/remove", Role.OPERATOR)
async def remove_team(visit: Visit) -> web.Response:
    """Take it away."""
    name = visit.form.get("hostname", "")
    await visit.ask(delete_team, path={"hostname": name}, version=visit.form.get("version"))
    return await visit.go(TEAMS, f"{name} has no team any more.")


PAGES = (
    dev_hosts,
    add_dev_host,
    dev_hosts_bulk,
    dev_hosts_bulk_posted,
    ask_remove_dev_host,
    remove_dev_host,
    teams,
    add_team,
    teams_bulk,
    teams_bulk_posted,
    team,
    change_team,
    ask_remove_team,
    remove_team,
)


async def _show(
    visit: Visit, hosts: HostList, problem: Problem | None = None, typed: dict[str, Any] | None = None
) -> web.Response:
    listed = await visit.ask(hosts.listed)
    words = visit.query.get("q", "").casefold()
    items = [each for each in listed["items"] if words in str(list(each.values())[:2]).casefold()]
    status: dict[str, Any] = {} if problem is None else {"status": problem.status}
    return visit.show(
        hosts.template,
        items=items[:SHOWN_MOST],
        found=len(items),
        total=listed["total"],
        query=visit.query,
        problem=problem,
        typed=typed or {},
        **status,
    )


async def _add(visit: Visit, hosts: HostList, operation: Operation) -> web.Response:
    fields = fields_of(visit.form)
    try:
        await visit.ask(operation, body=fields)
    except Problem as problem:
        return await _show(visit, hosts, problem, fields)
    return await visit.go(hosts.home, f"{fields['hostname']} is on the list.")


def _bulk_form(
    visit: Visit, hosts: HostList, text: str = "", plan: Any = None, problem: Problem | None = None
) -> web.Response:
    status: dict[str, Any] = {} if problem is None else {"status": problem.status}
    return visit.show(
        "hosts-bulk.html",
        home=hosts.home,
        text=text,
        plan=plan,
        problem=problem,
        teams=hosts is TEAM_LIST,
        **status,
    )


async def _bulk(visit: Visit, hosts: HostList) -> web.Response:
    fields = fields_of(visit.form, empty_is_null=False)
    text, apply = fields.get("file") or fields.get("text") or "", fields.get("apply") == "true"
    try:
        plan = await visit.ask(hosts.bulk, body={"text": text, "dry_run": not apply})
    except Problem as problem:
        return _bulk_form(visit, hosts, text, None, problem)
    if not apply:
        return _bulk_form(visit, hosts, text, plan)
    return await visit.go(hosts.home, f"{len(plan['added'])} added, {len(plan['changed'])} changed.")
