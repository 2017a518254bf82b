"""/rules/test and /rules/test-recent: what rules would do, before they do it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, JsonValue

from mutt_appliance.events.admission import Limits, admit
from mutt_appliance.queueing.dead_letter import now_rfc3339
from mutt_appliance.rules.patterns import fold
from mutt_appliance.store.audit_pages import AuditFilter, audit_page
from mutt_appliance.store.rule_files import RuleSpec
from mutt_appliance.store.rules import RuleRow
from mutt_appliance.webui.access import Role
from mutt_appliance.webui.api.activity import PATTERNS_LOOKED_AT
from mutt_appliance.webui.api.fields import Number, Strict
from mutt_appliance.webui.api.rules import RuleIn, check_rule
from mutt_appliance.webui.operations import Call, Reply, operation
from mutt_appliance.webui.problems import FieldFault, invalid
from mutt_appliance.webui.trying import Bench, Draft, Trial

TAG = "Rules"
OTHERS_MOST = 50
SAMPLES_MOST = 20
# The rules serve one thread, which has others to answer too.
EVENTS_IN_A_ROW = 100


class DraftIn(Strict):
    """A rule that is not saved."""

    rule: RuleIn | None = Field(None, description="Tried beside those that are stored")
    replaces: Number | None = Field(None, description="Id of the stored rule that it is to become")


class RuleTestIn(DraftIn):
    """An event, as it would be posted to /ingest."""

    event: dict[str, JsonValue]


class MatchedRule(Strict):
    """A rule in short; `id` null is the one that is not saved."""

    id: int | None
    priority: int
    match_type: str
    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    description: str | None


class LosingRule(MatchedRule):
    """A rule whose pattern fits and that did not win."""

    why: str


class RuleTest(Strict):
    """What becomes of the event; without a matching rule it is counted by its pattern."""

    rule: MatchedRule | None
    handling: str | None
    environment: str | None
    team: str | None
    team_from: Literal["rule", "host", "default"] | None
    forwarded: bool
    pattern: str | None = Field(description="What an event without a rule is counted as")
    others: list[LosingRule] = Field(description="The first 50, in the order they are tried")
    others_total: int


class RecentTestIn(DraftIn):
    """A rule to try on what came in lately."""

    rule: RuleIn
    last: int = Field(1000, ge=1, le=10_000, description="So many handled events of the audit log")


class RecentSample(Strict):
    """An event that the rule matches."""

    received_at: datetime | None = Field(description="Null for a sample of an unhandled pattern")
    hostname: str
    message: str
    wins: bool = Field(description="False: another rule goes before it")


class RecentTest(Strict):
    """How the rule would have done; unhandled patterns of 24 hours are tried by a sample each."""

    tried: int
    matched: int
    would_win: int
    unhandled_patterns: int
    samples: list[RecentSample]


@operation("POST", "/rules/test", tag=TAG, role=Role.VIEWER, body=RuleTestIn, answer=RuleTest)
async def try_event(call: Call) -> Reply:
    """Try an event on the rules: which one wins, what is decided, and why the others lost.

    Nothing is stored.
    """
    body: RuleTestIn = call.body
    event = _admitted(call, body.event)
    bench = await _bench(call, body.rule, body.replaces)
    trial = bench.try_on(event, call.stores.settings.unhandled_default_team)
    return Reply(_document(bench, trial, event))


@operation("POST", "/rules/test-recent", tag=TAG, role=Role.VIEWER, body=RecentTestIn, answer=RecentTest)
async def try_recent(call: Call) -> Reply:
    """Try a rule on the last events that were handled, and on the patterns that were not."""
    body: RecentTestIn = call.body
    bench = await _bench(call, body.rule, body.replaces)
    rows = await call.stores.run(audit_page, AuditFilter(), body.last)
    patterns = await call.stores.activity.patterns(PATTERNS_LOOKED_AT)
    handled = [asdict(row) for row in rows]
    unhandled = [{**each.sample, "received_at": None} for each in patterns if each.sample is not None]
    return Reply(await _recent(bench, [*handled, *unhandled], len(unhandled)))


OPERATIONS = (try_event, try_recent)


async def _bench(call: Call, rule: RuleIn | None, replaces: int | None) -> Bench:
    """Raises Problem 422 for a rule that cannot be one."""
    rules = await call.stores.rule_book.current()
    if rule is None:
        return Bench(rules)
    spec = RuleSpec(**rule.model_dump())
    check_rule(spec, "body.rule")
    bench = Bench(rules, Draft(spec, replaces))
    if bench.faults:
        raise invalid([FieldFault(field="body.rule", message=fault) for fault in bench.faults])
    return bench


def _admitted(call: Call, event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as the ingestor would queue it; a timestamp need not be given here. Raises Problem 422."""
    given = {"timestamp": now_rfc3339(), **event}
    admission = admit([given], Limits.of(call.stores.settings), "test", now_rfc3339(), may_hold_nul=True)
    if admission.refused:
        raise invalid([FieldFault(field="body.event", message=admission.refused[0].reason)])
    return given


def _document(bench: Bench, trial: Trial, event: Mapping[str, Any]) -> dict[str, Any]:
    decision = trial.decision
    return {
        "rule": None if trial.winner is None else _short(bench, trial.winner),
        "handling": decision and decision.handling,
        "environment": decision and decision.environment,
        "team": decision and decision.team,
        "team_from": trial.team_from,
        "forwarded": decision is not None and decision.forwarded,
        "pattern": fold(event.get("message") or "") if trial.winner is None else None,
        "others": [{**_short(bench, other.rule), "why": other.why} for other in trial.others[:OTHERS_MOST]],
        "others_total": len(trial.others),
    }


def _short(bench: Bench, rule: RuleRow) -> dict[str, Any]:
    return {
        "id": None if bench.is_draft(rule) else rule.id,
        "priority": rule.priority,
        "match_type": rule.match_type,
        "match_string": rule.match_string,
        "trap_oid": rule.trap_oid,
        "syslog_severity": rule.syslog_severity,
        "description": rule.description,
    }


async def _recent(bench: Bench, events: Iterable[Mapping[str, Any]], unhandled: int) -> dict[str, Any]:
    tried = matched = would_win = 0
    samples: list[dict[str, Any]] = []
    for event in events:
        tried += 1
        if tried % EVENTS_IN_A_ROW == 0:
            await asyncio.sleep(0)
        candidates = [rule for rule, why_not in bench.candidates(event) if why_not is None]
        if not any(bench.is_draft(rule) for rule in candidates):
            continue
        wins = bench.is_draft(candidates[0])
        matched += 1
        would_win += wins
        if len(samples) < SAMPLES_MOST:
            samples.append(
                {
                    "received_at": event["received_at"],
                    "hostname": event.get("hostname") or "",
                    "message": event.get("message") or "",
                    "wins": wins,
                }
            )
    return {
        "tried": tried,
        "matched": matched,
        "would_win": would_win,
        "unhandled_patterns": unhandled,
        "samples": samples,
    }
