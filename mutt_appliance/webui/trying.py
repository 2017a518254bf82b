"""What becomes of an event by the rules of now, with or without a rule that is not saved yet, and why (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mutt_appliance.rules.decide import Decision, decide
from mutt_appliance.rules.ruleset import RuleSet
from mutt_appliance.store.rule_files import RuleSpec
from mutt_appliance.store.rules import RuleData, RuleRow

UNSAVED_ID = 2**31
"""Of a rule without one: after all others of its priority, as a new one is."""


@dataclass(frozen=True)
class Draft:
    """A rule that is not saved; `replaces` is the id of the one it is to become, None for a new one."""

    spec: RuleSpec
    replaces: int | None = None

    @property
    def row(self) -> RuleRow:
        """As the alerter would have it."""
        spec = self.spec
        return RuleRow(
            UNSAVED_ID if self.replaces is None else self.replaces,
            spec.match_string,
            spec.trap_oid,
            spec.syslog_severity,
            spec.match_type,
            spec.priority,
            spec.prod_handling,
            spec.dev_handling,
            spec.team_assignment,
            spec.description,
        )


@dataclass(frozen=True)
class Other:
    """A rule that did not win, and why."""

    rule: RuleRow
    why: str


@dataclass(frozen=True)
class Trial:
    """What becomes of an event: `winner` None is for one that no rule handles."""

    winner: RuleRow | None
    decision: Decision | None
    team_from: str | None
    others: list[Other]


class Bench:
    """Rules to try events on; one event at a time."""

    def __init__(self, rules: RuleSet, draft: Draft | None = None) -> None:
        self._rules = rules
        self._draft = draft
        self._alone: RuleSet | None = None
        if draft is not None and draft.spec.is_active:
            self._alone = RuleSet(RuleData((draft.row,)))

    @property
    def faults(self) -> list[str]:
        """Why the draft would be left out by an alerter."""
        return [fault.reason for fault in self._alone.faults] if self._alone is not None else []

    def candidates(self, event: Mapping[str, Any]) -> list[tuple[RuleRow, str | None]]:
        """Rules whose pattern fits, in the order they are tried, with why they do not match (None: they do)."""
        message = event.get("message") or ""
        given = (
            message,
            message.encode("utf-8", "replace"),
            event.get("syslog_severity"),
            event.get("trap_oid"),
        )
        replaced = None if self._draft is None else self._draft.replaces
        found = [each for each in self._rules.explain(*given) if each[0].id != replaced]
        if self._alone is not None:
            found += self._alone.explain(*given)
        return sorted(found, key=lambda each: (each[0].priority, each[0].id))

    def winner(self, event: Mapping[str, Any]) -> RuleRow | None:
        """The rule that handles an event."""
        return next((rule for rule, why_not in self.candidates(event) if why_not is None), None)

    def is_draft(self, rule: RuleRow) -> bool:
        """True for the rule that is not saved."""
        return self._draft is not None and rule == self._draft.row

    def try_on(self, event: Mapping[str, Any], default_team: str) -> Trial:
        """What becomes of an event, and why the other rules did not get it."""
        won: RuleRow | None = None
        others = []
        for rule, why_not in self.candidates(event):
            if why_not is not None:
                others.append(Other(rule, why_not))
            elif won is None:
                won = rule
            else:
                later = (
                    "its id is higher"
                    if rule.priority == won.priority
                    else f"its priority {rule.priority} is tried later"
                )
                others.append(Other(rule, f"it matches too, but {later}"))
        if won is None:
            return Trial(None, None, None, others)
        hostname, data = event.get("hostname") or "", self._rules.data
        team_from = "rule" if won.team_assignment else "host" if hostname.lower() in data.teams else "default"
        return Trial(won, decide(won, hostname, data, default_team), team_from, others)
