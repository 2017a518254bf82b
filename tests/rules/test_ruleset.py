"""Which rule wins, held against the plain oracle and against the known hard cases."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutt_appliance.rules.ruleset import OVERRUNS_ALLOWED, RuleFault, RuleSet, is_below, normal_oid_prefix
from mutt_appliance.store.rules import RuleData, RuleRow
from tests.rules.oracle import holds, make_rule, winner

WORDS = [
    "link",
    "down",
    "LINK",
    "up",
    "err",
    "Error",
    "%SYS-5",
    "a.b",
    "ge-0/0/1",
    "ü",
    "naïve",
    "(x)",
    "0",
    "7",
]
REGEXES = [
    r"link\s+(up|down)", r"^err", r"up$", r"ge-\d/\d/\d+", r"[Ee]rror\b", r"(?i)LINK down", r"a.b", r"%SYS-[0-5]",
    r"(link|up){2,}", r"[^a-z ]+", r"x?", r"\w+ \w+ \w+", r"(down).*\1", r"link(?= up)", r"(?<!a)err", r".*",
]  # fmt: skip
OIDS = ["1", "1.3", "1.3.6", "1.3.6.1.4.1.9", "1.3.6.1.4.1.99", "1.3.6.1.4.1.9.9.1", "2.5"]

messages = st.lists(st.sampled_from([*WORDS, " ", "  ", "-", "x"]), max_size=12).map(" ".join) | st.text(
    max_size=40
)
severities = st.none() | st.integers(0, 7)


@st.composite
def rules(draw: st.DrawFn) -> list[RuleRow]:
    """Up to 12 rules of every type, with and without further conditions."""
    made = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        match_type = draw(st.sampled_from(["contains", "regex", "oid_prefix"]))
        oid = (
            draw(st.sampled_from(["", "."])) + draw(st.sampled_from(OIDS)) + draw(st.sampled_from(["", ".*"]))
        )
        if match_type == "oid_prefix":
            fields = {"trap_oid": oid, "match_string": draw(st.none() | st.sampled_from(WORDS))}
        else:
            source = WORDS if match_type == "contains" else REGEXES
            fields = {
                "match_string": draw(st.sampled_from(source)),
                "trap_oid": draw(st.none() | st.none() | st.just(oid)),
            }
        made.append(
            make_rule(
                number,
                match_type=match_type,
                priority=draw(st.integers(1, 4)),
                syslog_severity=draw(st.none() | st.none() | st.integers(0, 7)),
                **fields,
            )
        )
    return made


# The ingestor refuses events that hold one.
WITHOUT_NUL = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


def compiled(rows: list[RuleRow], **options: object) -> RuleSet:
    """A rule set in the order in which the database gives the rules."""
    ordered = sorted(rows, key=lambda rule: (rule.priority, rule.id))
    return RuleSet(RuleData(rules=tuple(ordered)), **options)  # type: ignore[arg-type]


def match(rule_set: RuleSet, message: str, severity: int | None = None, oid: str | None = None) -> int | None:
    """Id of the winning rule."""
    rule = rule_set.match(message, message.encode("utf-8", "replace"), severity, oid)
    return None if rule is None else rule.id


@settings(max_examples=300, deadline=None)
@given(
    rules(),
    st.lists(
        st.tuples(messages, severities, st.none() | st.sampled_from([*OIDS, "1.3.6.1.4.1.9.9.1.5"])),
        min_size=1,
        max_size=8,
    ),
)
def test_the_winner_is_the_one_the_plain_matcher_finds(
    rows: list[RuleRow], events: list[tuple[str, int | None, str | None]]
) -> None:
    rule_set = compiled(rows)
    assert rule_set.faults == []
    for message, severity, oid in events:
        assert match(rule_set, message, severity, oid) == winner(rows, message, severity, oid)
        explained = rule_set.explain(message, message.encode("utf-8", "replace"), severity, oid)
        matching = [rule.id for rule, why_not in explained if why_not is None]
        ordered = sorted(rows, key=lambda rule: (rule.priority, rule.id))
        assert matching == [rule.id for rule in ordered if holds(rule, message, severity, oid)]


@settings(max_examples=200, deadline=None)
@given(st.text(WITHOUT_NUL, min_size=1, max_size=8), st.text(max_size=30), st.text(max_size=30))
def test_contains_finds_its_text_wherever_it_stands(text: str, before: str, after: str) -> None:
    rule_set = compiled([make_rule(1, match_string=text)])
    assert match(rule_set, before + text + after) == 1


@pytest.mark.parametrize("match_type", ["contains", "regex"])
def test_a_rule_with_a_nul_is_left_out_and_told(match_type: str) -> None:
    rule_set = compiled(
        [make_rule(1, match_string="\0", match_type=match_type), make_rule(2, match_string="a")]
    )
    assert [(fault.rule_id, "NUL" in fault.reason) for fault in rule_set.faults] == [(1, True)]
    assert match(rule_set, "a") == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("critical", "a CRITICAL fault"),
        ("CRITICAL", "critical"),
        ("Über", "xÜBERx"),
        ("ΣΑΣ", "σας"),
        ("a.c", "A.C"),
    ],
)
def test_contains_ignores_case(text: str, message: str) -> None:
    assert match(compiled([make_rule(1, match_string=text)]), message) == 1


def test_contains_takes_signs_of_regular_expressions_as_they_are() -> None:
    rule_set = compiled([make_rule(1, match_string="a.c [x]*")])
    assert match(rule_set, "abc [x]*") is None
    assert match(rule_set, "A.C [X]* found") == 1


def test_regex_minds_case() -> None:
    rule_set = compiled([make_rule(1, match_type="regex", match_string="Down")])
    assert match(rule_set, "link down") is None
    assert match(rule_set, "link Down") == 1


def test_lower_priority_wins_then_lower_id() -> None:
    rows = [
        make_rule(5, match_string="x", priority=10),
        make_rule(2, match_string="x", priority=20),
        make_rule(9, match_string="x", priority=10),
    ]
    assert match(compiled(rows), "x") == 5


def test_oid_prefix_matches_whole_arcs_only() -> None:
    rule_set = compiled([make_rule(1, match_type="oid_prefix", trap_oid="1.3.6.1.4.1.9")])
    assert match(rule_set, "", None, "1.3.6.1.4.1.9") == 1
    assert match(rule_set, "", None, "1.3.6.1.4.1.9.9.41") == 1
    assert match(rule_set, "", None, "1.3.6.1.4.1.99") is None
    assert match(rule_set, "", None, None) is None


@pytest.mark.parametrize("written", [".1.3.6.1", "1.3.6.1.*", ".1.3.6.1.*", " 1.3.6.1 "])
def test_an_oid_prefix_may_have_a_leading_dot_and_a_trailing_star(written: str) -> None:
    assert normal_oid_prefix(written) == "1.3.6.1"


@pytest.mark.parametrize("written", ["", "iso.3", "1..3", "1.3.x", "*", "linkDown"])
def test_what_is_no_numeric_oid_is_none(written: str) -> None:
    assert normal_oid_prefix(written) is None


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=8),
    st.lists(st.integers(0, 200), min_size=1, max_size=8),
)
def test_below_means_that_the_arcs_begin_alike(oid: list[int], prefix: list[int]) -> None:
    assert is_below(".".join(map(str, oid)), ".".join(map(str, prefix))) == (oid[: len(prefix)] == prefix)


def test_a_rule_that_does_not_compile_is_reported_and_the_others_go_on() -> None:
    rows = [
        make_rule(1, match_type="regex", match_string="a(", priority=1),
        make_rule(2, match_type="oid_prefix", trap_oid="not.an.oid", priority=1),
        make_rule(3, match_string="", priority=1),
        make_rule(4, match_string="fine"),
    ]
    rule_set = compiled(rows)
    assert {fault.rule_id for fault in rule_set.faults} == {1, 2, 3}
    assert all(fault.reason for fault in rule_set.faults)
    assert len(rule_set) == 1
    assert match(rule_set, "a( fine") == 4


@pytest.mark.timeout(60)
def test_nested_repetition_costs_linear_time() -> None:
    rule_set = compiled([make_rule(1, match_type="regex", match_string=r"(a+)+$")])
    assert rule_set.faults == []
    assert match(rule_set, "a" * 50_000 + "b") is None
    assert match(rule_set, "b" + "a" * 50_000) == 1


@pytest.mark.timeout(60)
def test_a_rule_that_backtracks_without_end_is_switched_off_and_told() -> None:
    told: list[RuleFault] = []
    rows = [
        make_rule(1, match_type="regex", match_string=r"(?=(a+)+b)(a|aa)+$x", priority=1),
        make_rule(2, match_string="aaa"),
    ]
    rule_set = compiled(rows, regex_timeout_ms=20, on_fault=told.append)
    for _ in range(OVERRUNS_ALLOWED + 2):
        assert match(rule_set, "a" * 5000 + "bx") == 2
    assert [fault.rule_id for fault in told] == [1]
    assert rule_set.faults == told
    assert "switched off" in told[0].reason


def test_look_around_and_back_references_work() -> None:
    rows = [
        make_rule(1, match_type="regex", match_string=r"(?<!un)expected", priority=1),
        make_rule(2, match_type="regex", match_string=r"(\w+) again \1", priority=2),
    ]
    rule_set = compiled(rows)
    assert match(rule_set, "unexpected") is None
    assert match(rule_set, "as expected") == 1
    assert match(rule_set, "bgp again bgp") == 2
    assert match(rule_set, "bgp again ospf") is None


def test_severity_null_means_any_else_equal() -> None:
    rows = [make_rule(1, match_string="x", syslog_severity=3, priority=1), make_rule(2, match_string="x")]
    rule_set = compiled(rows)
    assert match(rule_set, "x", 3) == 1
    assert match(rule_set, "x", 4) == 2
    assert match(rule_set, "x", None) == 2


def test_no_rules_match_nothing() -> None:
    assert match(compiled([]), "anything", 1, "1.3") is None
