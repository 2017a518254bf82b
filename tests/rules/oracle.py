"""The rules of the specification, said the plain way: the slow and obvious matcher that ours is held against."""

from __future__ import annotations

import re

from mutt_appliance.store.rules import RuleRow


def make_rule(number: int, **fields: object) -> RuleRow:
    """A rule with the given fields and harmless defaults."""
    defaults: dict[str, object] = {
        "id": number,
        "match_string": None,
        "trap_oid": None,
        "syslog_severity": None,
        "match_type": "contains",
        "priority": 100,
        "prod_handling": "Page_and_ticket",
        "dev_handling": "Log_only",
        "team_assignment": None,
        "description": None,
    }
    return RuleRow(**{**defaults, **fields})  # type: ignore[arg-type]


def winner(rules: list[RuleRow], message: str, severity: int | None, trap_oid: str | None) -> int | None:
    """Id of the rule that wins: lowest priority, then lowest id, among those whose every condition holds."""
    for rule in sorted(rules, key=lambda rule: (rule.priority, rule.id)):
        if holds(rule, message, severity, trap_oid):
            return rule.id
    return None


def holds(rule: RuleRow, message: str, severity: int | None, trap_oid: str | None) -> bool:
    """Whether every condition of one rule holds."""
    if rule.syslog_severity is not None and rule.syslog_severity != severity:
        return False
    prefix = rule.trap_oid
    text = rule.match_string
    if rule.match_type == "oid_prefix" and prefix is None:
        prefix, text = text, None
    if prefix is not None and not _below(trap_oid, prefix):
        return False
    if text is None:
        return True
    if rule.match_type == "regex":
        return re.search(text, message, re.ASCII) is not None
    return text.casefold() in message.casefold()


def _below(oid: str | None, prefix: str) -> bool:
    if oid is None:
        return False
    wanted = prefix.strip(".").removesuffix(".*").split(".")
    return oid.split(".")[: len(wanted)] == wanted
