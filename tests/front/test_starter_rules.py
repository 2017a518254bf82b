"""etc/rules: every file loads, every pattern suits Hyperscan, and real-looking messages hit the rule meant for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hyperscan
import pytest
import yaml

from mutt_appliance.store.rule_files import RuleSpec, parse_rule_files
from tests.support.rsyslog import ETC

FILES = sorted((ETC / "rules").glob("*.yaml"))
SAMPLES = Path(__file__).with_name("samples")


def rules_of(*files: Path) -> list[RuleSpec]:
    return parse_rule_files({file.name: file.read_text(encoding="utf-8") for file in files})


RULES = rules_of(*FILES)


def load(name: str) -> Any:
    return yaml.safe_load((SAMPLES / name).read_text(encoding="utf-8"))


def holds(rule: RuleSpec, message: str, trap_oid: str | None) -> bool:
    """The plain meaning of a rule, written anew: nothing of the alerter is used here."""
    if rule.match_type == "oid_prefix":
        return bool(trap_oid) and f"{trap_oid}.".startswith(f"{rule.trap_oid}.")
    assert rule.match_string
    if rule.match_type == "contains":
        return rule.match_string.lower() in message.lower()
    return re.search(rule.match_string, message, re.ASCII) is not None


def winner(message: str, trap_oid: str | None = None) -> str | None:
    """Description of the rule that wins: lowest priority number, then the earlier one."""
    hits = [rule for rule in RULES if rule.is_active and holds(rule, message, trap_oid)]
    return min(hits, key=lambda rule: rule.priority).description if hits else None


def cases(kind: str) -> list[tuple[str, str]]:
    return [
        (sample, entry["rule"])
        for file in FILES
        for entry in load(file.name)
        for sample in entry.get(kind, ())
    ]


def test_all_files_load_together_without_a_fault() -> None:
    assert [file.name for file in FILES] == ["cisco.yaml", "juniper.yaml", "linux.yaml", "traps.yaml"]
    assert 60 <= len(RULES) <= 150


def test_every_rule_says_what_it_is_and_whose() -> None:
    assert all(rule.description and rule.team_assignment for rule in RULES)
    assert len({rule.description for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if rule.match_type == "regex"],
    ids=lambda rule: rule.description,
)
def test_every_regular_expression_is_one_that_hyperscan_searches_itself(rule: RuleSpec) -> None:
    assert rule.match_string
    database = hyperscan.Database()
    flags = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH
    database.compile(expressions=[rule.match_string.encode()], ids=[0], elements=1, flags=[flags])
    assert not re.search(r"\\[dw]", rule.match_string), "write [0-9]: it means the same to every reader"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_rule_has_a_sample(file: Path) -> None:
    assert {entry["rule"] for entry in load(file.name)} == {rule.description for rule in rules_of(file)}


@pytest.mark.parametrize(("message", "expected"), cases("messages"))
def test_a_message_hits_the_rule_meant_for_it(message: str, expected: str) -> None:
    assert winner(message) == expected


@pytest.mark.parametrize(("trap_oid", "expected"), cases("trap_oids"))
def test_a_trap_hits_the_rule_meant_for_it(trap_oid: str, expected: str) -> None:
    message = f"MUTT-TRAP v=1 from=UDP: [192.0.2.11]:161->[203.0.113.5]:162\t.1.3.6.1.6.3.1.1.4.1.0 = OID: .{trap_oid}"
    assert winner(message, trap_oid) == expected


@pytest.mark.parametrize("message", load("no_match.yaml"))
def test_other_messages_stay_unhandled(message: str) -> None:
    assert winner(message) is None


def test_another_company_is_not_taken_for_cisco() -> None:
    assert winner("MUTT-TRAP v=1", "1.3.6.1.4.1.99.9.13.3.0.4") is None
