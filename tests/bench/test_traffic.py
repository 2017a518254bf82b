"""The generator: the same each time, and matched exactly as often as it says."""

from __future__ import annotations

import orjson

from bench.matching import first_match
from bench.traffic import events, plain_patterns, traffic
from mutt_appliance.rules.ruleset import RuleSet

RULES = 200


def test_every_tenth_event_matches_and_no_other() -> None:
    source = traffic(RULES)
    rules = RuleSet(source.rules)
    assert not rules.faults
    for number, event in enumerate(events(source, 500, matched_every=10)):
        rule = rules.match(
            event["message"], event["message"].encode(), event["syslog_severity"], event.get("trap_oid")
        )
        assert (rule is not None) == (number % 10 == 9), event


def test_the_plain_loops_agree_with_the_rule_set() -> None:
    source = traffic(RULES)
    rules = RuleSet(source.rules)
    for only_re in (False, True):
        patterns = plain_patterns(source.rules, only_re=only_re)
        for event in events(source, 300, matched_every=2):
            message, oid = event["message"], event.get("trap_oid")
            place = first_match(patterns, message, oid)
            rule = rules.match(message, message.encode(), event["syslog_severity"], oid)
            assert rule == (None if place is None else source.rules.rules[place])


def test_the_same_seed_makes_the_same_rules_and_messages() -> None:
    one, other = traffic(RULES), traffic(RULES)
    assert one == other
    assert [event["message"] for event in events(one, 50)] == [
        event["message"] for event in events(other, 50)
    ]


def test_unmatched_messages_are_of_the_same_kinds_whatever_the_number_of_rules() -> None:
    assert traffic(10).uncovered == traffic(RULES).uncovered


def test_an_event_has_about_300_bytes() -> None:
    made = events(traffic(10), 500)
    assert 270 < sum(len(orjson.dumps(event)) for event in made) / len(made) < 330
