"""Sample messages: known to the ledger, understood by the ingestor, partly known to the starter rules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mutt_appliance.demo.messages import DOMAIN, HOSTNAMES, UPS, MessageMaker
from mutt_appliance.demo.sample_rules import starter_rules
from mutt_appliance.events.snmptrap import MARKER, enrich
from mutt_appliance.rules.ruleset import RuleSet
from mutt_appliance.store.rules import RuleData, RuleRow


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    maker = MessageMaker("test", seed=7)
    made = [maker.next() for _ in range(5_000)]
    for event in made:
        enrich(event)
    return made


def test_the_same_seed_gives_the_same_messages() -> None:
    one, other = MessageMaker("x", seed=3), MessageMaker("x", seed=3)
    assert [one.next()["message"] for _ in range(200)] == [other.next()["message"] for _ in range(200)]


def test_ids_are_numbered_and_carry_the_name_of_the_run(events: list[dict[str, Any]]) -> None:
    assert [event["event_id"] for event in events[:3]] == ["demo-test-1", "demo-test-2", "demo-test-3"]
    assert len({event["event_id"] for event in events}) == len(events)


def test_the_ledger_knows_every_hostname(events: list[dict[str, Any]]) -> None:
    hostnames = {event["hostname"] for event in events if "hostname" in event}
    assert len(hostnames) > 20
    assert hostnames <= HOSTNAMES


def test_a_few_events_lack_their_hostname(events: list[dict[str, Any]]) -> None:
    assert 0 < sum("hostname" not in event for event in events) < 50


def test_every_trap_line_is_taken_apart(events: list[dict[str, Any]]) -> None:
    traps = [event for event in events if event["message"].startswith(MARKER)]
    assert len(traps) > 300
    assert all(event["trap_oid"] and event["hostname"] in HOSTNAMES for event in traps)
    assert {"1", "2c"} == {event["snmp_version"] for event in traps}


def test_the_starter_rules_match_some_messages_and_not_others(events: list[dict[str, Any]]) -> None:
    rules = starter_rules()
    rows = [
        RuleRow(
            number,
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
        for number, spec in enumerate(rules, start=1)
        if spec.is_active
    ]
    ruleset = RuleSet(RuleData(rules=tuple(sorted(rows, key=lambda row: (row.priority, row.id)))))
    assert ruleset.faults == []
    outcome: Counter[str] = Counter()
    unmatched_hosts: Counter[str] = Counter()
    for event in events:
        rule = ruleset.match(
            event["message"], event["message"].encode(), event["syslog_severity"], event.get("trap_oid")
        )
        outcome["unmatched" if rule is None else rule.prod_handling] += 1
        if rule is None:
            unmatched_hosts[event.get("hostname", "")] += 1
    assert outcome["unmatched"] > 500
    assert outcome["Page_and_ticket"] + outcome["Page_only"] + outcome["Ticket_only"] > 500
    # One pattern of one host comes often enough to reach the threshold within seconds.
    assert unmatched_hosts[f"{UPS}.{DOMAIN}"] > 200
