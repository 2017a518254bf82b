"""/teams: which team a host belongs to."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from mutt_appliance.store.teams import add_team, all_teams, change_team, one_team, remove_team
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import HostPath, Name, Number, Strict, Time
from mutt_appliance.webui.operations import Call, Reply, operation

TAG = "Teams"


class TeamIn(Strict):
    """A host and its team."""

    hostname: Name
    team_assignment: Name


class TeamChange(Strict):
    """Another team for a host."""

    team_assignment: Name


class Team(TeamIn):
    """A host and its team as they are stored."""

    version: Number
    created_at: Time
    updated_at: Time


class TeamList(Strict):
    """Hosts with a team, by name."""

    total: int
    items: list[Team]


@operation("GET", "/teams", tag=TAG, role=Role.VIEWER, answer=TeamList)
async def list_teams(call: Call) -> Reply:
    """List team mappings."""
    teams = await call.stores.run(all_teams)
    return Reply({"total": len(teams), "items": [asdict(team) for team in teams]})


@operation(
    "POST",
    "/teams",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    body=TeamIn,
    answer=Team,
    status=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
)
async def add_one_team(call: Call) -> Reply:
    """Add a team mapping."""
    body: TeamIn = call.body
    team = await call.stores.run(add_team, body.hostname, body.team_assignment, call.person.name)
    return Reply(asdict(team), HTTPStatus.CREATED, team.version)


@operation(
    "GET",
    "/teams/{hostname}",
    tag=TAG,
    role=Role.VIEWER,
    path_model=HostPath,
    answer=Team,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def get_team(call: Call) -> Reply:
    """Get the team mapping of a host."""
    team = await call.stores.run(one_team, call.path.hostname)
    return Reply(asdict(team), version=team.version)


@operation(
    "PUT",
    "/teams/{hostname}",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    path_model=HostPath,
    body=TeamChange,
    answer=Team,
    problems=(HTTPStatus.NOT_FOUND,),
    versioned=True,
)
async def update_team(call: Call) -> Reply:
    """Update a team mapping."""
    team = await call.stores.run(
        change_team, call.path.hostname, call.body.team_assignment, call.person.name, call.if_version
    )
    return Reply(asdict(team), version=team.version)


@operation(
    "DELETE",
    "/teams/{hostname}",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    path_model=HostPath,
    status=HTTPStatus.NO_CONTENT,
    problems=(HTTPStatus.NOT_FOUND,),
    versioned=True,
)
async def delete_team(call: Call) -> Reply:
    """Delete a team mapping."""
    await call.stores.run(remove_team, call.path.hostname, call.person.name, call.if_version)
    return Reply(status=HTTPStatus.NO_CONTENT)


OPERATIONS = (list_teams, add_one_team, get_team, update_team, delete_team)
