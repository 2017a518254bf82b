"""Rules as YAML: every fault named, and what is written can be read again."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutt_appliance.store.rule_files import (
    HANDLINGS,
    MATCH_TYPES,
    RuleFilesError,
    RuleSpec,
    parse_rule_files,
    render_rules,
)

GOOD = "{match_string: a, prod_handling: Page_only, dev_handling: Log_only}"


def faults(text: str, name: str = "cisco.yaml") -> list[str]:
    with pytest.raises(RuleFilesError) as caught:
        parse_rule_files({name: text})
    return [str(fault) for fault in caught.value.faults]


def fault_of(entry: str) -> str:
    """The one fault of an entry, without the file and the number in front."""
    (fault,) = faults(f"rules:\n- {GOOD}\n- {entry}\n")
    assert fault.startswith("cisco.yaml: rule 2: ")
    return fault.removeprefix("cisco.yaml: rule 2: ")


def test_a_short_rule_gets_the_defaults() -> None:
    (spec,) = parse_rule_files({"a": f"rules: [{GOOD}]"})
    assert spec == RuleSpec(match_string="a", prod_handling="Page_only", dev_handling="Log_only")
    assert (spec.match_type, spec.priority, spec.is_active) == ("contains", 100, True)


def test_rules_of_several_files_keep_their_order() -> None:
    files = {"one": f"rules: [{GOOD}]", "two": f"rules: [{GOOD.replace(': a', ': b')}]"}
    assert [spec.match_string for spec in parse_rule_files(files)] == ["a", "b"]


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("text", "'text': must be a mapping of fields"),
        (GOOD.replace("Page_only", "Page"), "prod_handling='Page': must be one of Page_and_ticket"),
        ("{match_string: b, prod_handling: Log_only}", "dev_handling=None: must be one of"),
        ("{match_string: b, priority: 1.5, " + GOOD[18:], "priority=1.5: must be a whole number from"),
        ("{match_string: b, priority: true, " + GOOD[18:], "priority=True: must be a whole number"),
        ("{match_string: b, priority: null, " + GOOD[18:], "priority=None: must be a whole number"),
        (
            "{match_string: b, syslog_severity: 8, " + GOOD[18:],
            "syslog_severity=8: must be a whole number from 0 to 7",
        ),
        ("{match_string: b, is_active: 1, " + GOOD[18:], "is_active=1: must be true or false"),
        ("{match_string: b, match_type: glob, " + GOOD[18:], "match_type='glob': must be one of contains"),
        ("{match_string: 5, " + GOOD[18:], "match_string=5: must be text: put it into quotes"),
        ("{match_string: '', " + GOOD[18:], "match_string='': must not be empty"),
        ('{match_string: "a\\0b", ' + GOOD[18:], "match_string='a\\x00b': must not have a NUL"),
        ("{" + GOOD[18:], "match_string: must be set for match_type=contains"),
        ("{match_type: oid_prefix, " + GOOD[18:], "trap_oid: must be set for match_type=oid_prefix"),
        ("{match_type: oid_prefix, trap_oid: 1.3, " + GOOD[18:], "trap_oid=1.3: must be text"),
        ("{match_type: oid_prefix, trap_oid: 1.3.x, " + GOOD[18:], "trap_oid='1.3.x': must be a numeric OID"),
        (
            "{match_type: oid_prefix, match_string: link, " + GOOD[18:],
            "match_string='link': must be a numeric OID",
        ),
        (
            "{match_type: regex, match_string: 'a(b', " + GOOD[18:],
            "match_string='a(b': is not a regular expression: ",
        ),
        (
            "{match_string: b, severity: 3, " + GOOD[18:],
            "severity: is not a field of a rule: the fields are match_",
        ),
        (GOOD, "matches the same as rule 1 of cisco.yaml: leave one of them out"),
    ],
)
def test_a_fault_names_rule_field_value_and_what_it_must_be(entry: str, fault: str) -> None:
    assert fault_of(entry).startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rules: [", "cisco.yaml: is not YAML: line 1, column 9: "),
        ("", "cisco.yaml: must be a mapping with a list under the key `rules`"),
        ("- a", "cisco.yaml: must be a mapping"),
        ("rules: {a: b}", "cisco.yaml: must be a mapping with a list"),
        ("rules: []\nrule: []", "cisco.yaml: has the unknown key 'rule'"),
        ("rules: ['\x01']", "cisco.yaml: is not YAML: "),
    ],
)
def test_a_fault_of_the_whole_file_names_the_file(text: str, fault: str) -> None:
    assert faults(text)[0].startswith(fault)


def test_every_fault_of_every_file_is_told_at_once() -> None:
    bad = "rules: [{match_type: glob, prod_handling: no, dev_handling: Page}]"
    with pytest.raises(RuleFilesError) as caught:
        parse_rule_files({"a": bad, "b": "rules: 1"})
    assert [(fault.file, fault.rule) for fault in caught.value.faults] == [("a", 1)] * 3 + [("b", 0)]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
maybe = st.none() | texts
contains_rules = st.builds(
    RuleSpec,
    match_string=texts,
    trap_oid=st.none() | st.from_regex(r"\A\.?[0-9]+(\.[0-9]+){1,5}(\.\*)?\Z"),
    syslog_severity=st.none() | st.integers(0, 7),
    match_type=st.sampled_from(MATCH_TYPES[:1]),
    priority=st.integers(-1000, 1000),
    prod_handling=st.sampled_from(HANDLINGS),
    dev_handling=st.sampled_from(HANDLINGS),
    team_assignment=maybe,
    is_active=st.booleans(),
    description=maybe,
)


@settings(deadline=None)
@given(st.lists(contains_rules, max_size=5, unique_by=lambda spec: spec.key))
def test_what_is_written_is_read_back(specs: list[RuleSpec]) -> None:
    assert parse_rule_files({"file": render_rules(specs)}) == specs


@settings(deadline=None)
@given(st.text())
def test_any_text_is_taken_or_refused_with_reasons(text: str) -> None:
    with contextlib.suppress(RuleFilesError):
        assert isinstance(parse_rule_files({"file": text}), list)
