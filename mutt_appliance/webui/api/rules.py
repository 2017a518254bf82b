"""/rules: read, create, change, delete."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Literal

from pydantic import ConfigDict, Field

from mutt_appliance.store.rule_editing import (
    VersionedRule,
    create_rule,
    delete_rule,
    one_rule,
    update_rule,
)
from mutt_appliance.store.rule_files import RuleSpec, problems_of
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.fields import LARGEST_INTEGER, Number, Strict, Text, Time, without_defaults
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.problems import FieldFault, invalid
from mutt_appliance.webui.rule_list import document

TAG = "Rules"
PROBLEM = re.compile(r"(\w+)(?:=|: )(.*)", re.DOTALL)
MatchType = Literal["contains", "regex", "oid_prefix"]
Handling = Literal["Page_and_ticket", "Page_only", "Ticket_only", "Log_only", "Suppress"]


class RulePath(Strict):
    """A rule in the address."""

    id: Number


class RuleFields(Strict):
    """What a new rule and a change have in common."""

    match_string: Text | None = Field(
        None, description="What the message contains (in any case), or the expression"
    )
    trap_oid: Text | None = Field(
        None, description="Only traps at or below this OID, such as 1.3.6.1.6.3.1.1.5"
    )
    syslog_severity: int | None = Field(
        None, ge=0, le=7, description="Only events of this severity (0 emergency to 7 debug)"
    )
    match_type: MatchType = "contains"
    priority: int = Field(
        100, ge=-LARGEST_INTEGER, le=LARGEST_INTEGER, description="The lowest is tried first"
    )
    team_assignment: Text | None = Field(None, description="The team; without one that of the host")
    is_active: bool = True
    description: Text | None = None


class RuleIn(RuleFields):
    """A new rule."""

    prod_handling: Handling = Field(description="What happens to events of production hosts")
    dev_handling: Handling = Field(description="What happens to events of development hosts")


class RuleChange(RuleFields):
    """What changes of a rule; fields that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    prod_handling: Handling = "Log_only"
    dev_handling: Handling = "Log_only"


class Rule(RuleIn):
    """A rule as it is stored."""

    id: Number
    version: Number
    created_at: Time
    updated_at: Time


class RuleQuery(Strict):
    """Which rules, in which order."""

    q: Text | None = Field(None, description="Text in the pattern, OID, team or description, in any case")
    match_type: MatchType | None = None
    is_active: bool | None = None
    team: Text | None = None
    sort: Literal["order", "id", "updated"] = Field(
        "order", description="order: as they are tried; updated: the last changed first"
    )
    offset: int = Field(0, ge=0, le=LARGEST_INTEGER)
    limit: int | None = Field(None, ge=1, le=10_000, description="Without it all")


class RuleList(Strict):
    """Rules; `total` is how many there are before offset and limit."""

    total: int
    items: list[Rule]


@operation("GET", "/rules", tag=TAG, role=Role.VIEWER, query=RuleQuery, answer=RuleList)
async def list_rules(call: Call) -> Reply:
    """List alert rules."""
    query: RuleQuery = call.query
    listed = [each for each in await call.stores.rule_list.current() if _wanted(each[0], query)]
    if query.sort == "id":
        listed.sort(key=lambda each: each[0].id)
    elif query.sort == "updated":
        listed.sort(key=lambda each: each[0].updated_at, reverse=True)
    end = None if query.limit is None else query.offset + query.limit
    return Reply({"total": len(listed), "items": [shown for _, shown in listed[query.offset : end]]})


@operation(
    "POST",
    "/rules",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    body=RuleIn,
    answer=Rule,
    status=HTTPStatus.CREATED,
    problems=(HTTPStatus.CONFLICT,),
)
async def create_one_rule(call: Call) -> Reply:
    """Create an alert rule.

    It is in force in every alerter within a second.
    """
    spec = RuleSpec(**call.body.model_dump())
    check_rule(spec)
    rule = await call.stores.run(create_rule, spec, call.person.name)
    return Reply(document(rule), HTTPStatus.CREATED, rule.version, {"Location": f"/api/v1/rules/{rule.id}"})


@operation(
    "GET",
    "/rules/{id}",
    tag=TAG,
    role=Role.VIEWER,
    path_model=RulePath,
    answer=Rule,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def get_rule(call: Call) -> Reply:
    """Get one rule."""
    rule = await call.stores.run(one_rule, call.path.id)
    return Reply(document(rule), version=rule.version)


@operation(
    "PUT",
    "/rules/{id}",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    path_model=RulePath,
    body=RuleChange,
    answer=Rule,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    versioned=True,
)
async def update_one_rule(call: Call) -> Reply:
    """Change a rule.

    Fields that are left out stay as they are.
    """
    given = call.body.model_dump(include=call.body.model_fields_set)

    def change(spec: RuleSpec) -> RuleSpec:
        changed = replace(spec, **given)
        check_rule(changed)
        return changed

    rule = await call.stores.run(update_rule, call.path.id, change, call.person.name, call.if_version)
    return Reply(document(rule), version=rule.version)


@operation(
    "DELETE",
    "/rules/{id}",
    tag=TAG,
    role=Role.OPERATOR,
    changes="rules",
    path_model=RulePath,
    status=HTTPStatus.NO_CONTENT,
    problems=(HTTPStatus.NOT_FOUND,),
    versioned=True,
)
async def delete_one_rule(call: Call) -> Reply:
    """Delete a rule."""
    await call.stores.run(delete_rule, call.path.id, call.person.name, call.if_version)
    return Reply(status=HTTPStatus.NO_CONTENT)


OPERATIONS = (list_rules, create_one_rule, get_rule, update_one_rule, delete_one_rule)


def _wanted(rule: VersionedRule, query: RuleQuery) -> bool:
    spec = rule.spec
    if query.match_type is not None and spec.match_type != query.match_type:
        return False
    if query.is_active is not None and spec.is_active != query.is_active:
        return False
    if query.team is not None and spec.team_assignment != query.team:
        return False
    if query.q is None:
        return True
    text = query.q.casefold()
    fields = (spec.match_string, spec.trap_oid, spec.team_assignment, spec.description)
    return any(text in field.casefold() for field in fields if field)


def check_rule(spec: RuleSpec, place: str = "body") -> None:
    """What the type of each field does not tell; raises Problem 422 with fields below `place`."""
    faults = list(_faults(problems_of(spec), place))
    if faults:
        raise invalid(faults)


def _faults(problems: Iterable[str], place: str) -> Iterable[FieldFault]:
    """`match_string='(': is not …` as field and message."""
    for problem in problems:
        found = PROBLEM.fullmatch(problem)
        field, message = found.groups() if found else ("", problem)
        yield FieldFault(field=f"{place}.{field}", message=message)
