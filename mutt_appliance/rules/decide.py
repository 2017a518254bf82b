"""What a matched rule means for an event (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mutt_appliance.store.rules import RuleData, RuleRow

FORWARDED_HANDLINGS = frozenset({"Page_and_ticket", "Page_only", "Ticket_only"})
META_HANDLING = "Ticket_only"

Environment = Literal["prod", "dev"]


@dataclass(frozen=True, slots=True)
class Decision:
    """How an event is handled: by which rule (None: a meta-event), as what, for whom, and whether it is forwarded."""

    rule_id: int | None
    handling: str
    environment: Environment
    team: str
    forwarded: bool


def environment_of(hostname: str, data: RuleData) -> Environment:
    """dev for a host on the list of development hosts (whole name, without regard to case), else prod."""
    return "dev" if hostname.lower() in data.dev_hosts else "prod"


def team_of_host(hostname: str, data: RuleData, default_team: str) -> str:
    """The team a host is assigned to, else the default."""
    return data.teams.get(hostname.lower(), default_team)


def decide(rule: RuleRow, hostname: str, data: RuleData, default_team: str) -> Decision:
    """The rule's own team goes before the host's, the host's before the default."""
    environment = environment_of(hostname, data)
    handling = rule.prod_handling if environment == "prod" else rule.dev_handling
    team = rule.team_assignment or team_of_host(hostname, data, default_team)
    return Decision(rule.id, handling, environment, team, handling in FORWARDED_HANDLINGS)


def decide_meta(hostname: str, data: RuleData, default_team: str) -> Decision:
    """An unhandled pattern is reported to the team of its host."""
    environment = environment_of(hostname, data)
    return Decision(None, META_HANDLING, environment, team_of_host(hostname, data, default_team), True)


def meta_message(event: dict[str, Any]) -> str:
    """The text of a meta-alert: how many, from where, and a sample."""
    meta = event["mutt_meta"]
    return (
        f"{meta.get('count')} events of one pattern from {event.get('hostname')} and no rule for them, "
        f"such as: {event.get('message')}"
    )
