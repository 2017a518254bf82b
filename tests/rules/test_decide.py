"""What a matched rule means for an event."""

from __future__ import annotations

import pytest

from mutt_appliance.rules.decide import decide, decide_meta
from mutt_appliance.store.rules import RuleData
from tests.rules.oracle import make_rule

DATA = RuleData(dev_hosts=frozenset({"lab1"}), teams={"core1": "BACKBONE"})


@pytest.mark.parametrize(
    ("handling", "forwarded"),
    [
        ("Page_and_ticket", True),
        ("Page_only", True),
        ("Ticket_only", True),
        ("Log_only", False),
        ("Suppress", False),
    ],
)
def test_paging_and_tickets_are_forwarded_the_rest_is_audited_only(handling: str, forwarded: bool) -> None:
    decision = decide(make_rule(1, prod_handling=handling), "r1", DATA, "NETO")
    assert (decision.handling, decision.forwarded, decision.environment) == (handling, forwarded, "prod")


@pytest.mark.parametrize("hostname", ["lab1", "LAB1", "Lab1"])
def test_a_development_host_has_its_own_handling(hostname: str) -> None:
    decision = decide(make_rule(1, dev_handling="Suppress"), hostname, DATA, "NETO")
    assert (decision.environment, decision.handling, decision.forwarded) == ("dev", "Suppress", False)


def test_the_rules_team_goes_before_the_hosts_and_that_before_the_default() -> None:
    assert decide(make_rule(1, team_assignment="VOICE"), "core1", DATA, "NETO").team == "VOICE"
    assert decide(make_rule(1), "CORE1", DATA, "NETO").team == "BACKBONE"
    assert decide(make_rule(1), "r1", DATA, "NETO").team == "NETO"


def test_an_unhandled_pattern_goes_to_the_team_of_its_host() -> None:
    assert decide_meta("core1", DATA, "NETO").team == "BACKBONE"
    decision = decide_meta("r1", DATA, "NETO")
    assert (decision.team, decision.rule_id, decision.forwarded) == ("NETO", None, True)
