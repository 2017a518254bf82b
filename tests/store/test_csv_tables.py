"""Rules and tables as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.store.csv_tables import (
    FORMULA,
    TableError,
    read_rules,
    read_table,
    write_rules,
    write_table,
)
from mutt_appliance.store.rule_files import HANDLINGS, RuleFilesError, RuleSpec

texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20
) | st.sampled_from(
    ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "'", "''=x", "a,b", 'a"b', "a\nb", "a\r\nb", "\u202etxt", " x "]
)


@st.composite
def specs(draw: st.DrawFn) -> list[RuleSpec]:
    made = [
        RuleSpec(
            match_string=text,
            priority=draw(st.integers(-5, 500)),
            syslog_severity=draw(st.none() | st.integers(0, 7)),
            prod_handling=draw(st.sampled_from(HANDLINGS)),
            dev_handling=draw(st.sampled_from(HANDLINGS)),
            team_assignment=draw(st.none() | texts),
            is_active=draw(st.booleans()),
            description=draw(st.none() | texts),
        )
        for text in draw(st.lists(texts, unique=True, max_size=8))
    ]
    return list({spec.key: spec for spec in made}.values())


@given(specs())
def test_what_is_written_is_read_again(rules: list[RuleSpec]) -> None:
    assert read_rules(write_rules(rules), "t") == rules


@given(st.lists(texts, min_size=1))
def test_no_cell_is_a_formula_to_a_spreadsheet(values: list[str]) -> None:
    written = write_table(["a"], ([value] for value in values))
    cells = [row[0] for row in csv.reader(io.StringIO(written, newline="")) if row]
    assert not any(cell.startswith(tuple(set(FORMULA) - {"'"})) for cell in cells)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column prod_handling is missing"),
        ("prod_handling,dev_handling,colour\n", "'colour' is no column"),
        ("prod_handling,dev_handling,dev_handling\n", "is there twice"),
        ("prod_handling,dev_handling\nPage_only\n", "has 1 cells, the head has 2"),
        ('prod_handling,dev_handling\n"x\n', "is not CSV"),
        (
            "match_string,prod_handling,dev_handling\nx,Page,Log_only\n",
            "prod_handling='Page': must be one of",
        ),
        (
            "match_string,prod_handling,dev_handling,priority\nx,Log_only,Log_only,high\n",
            "must be a whole number",
        ),
        (
            "match_string,prod_handling,dev_handling,is_active\nx,Log_only,Log_only,maybe\n",
            "must be true or false",
        ),
        (
            "match_string,prod_handling,dev_handling\nx,Log_only,Log_only\nx,Page_only,Log_only\n",
            "same as line 2",
        ),
    ],
)
def test_every_fault_is_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(RuleFilesError) as caught:
        read_rules(text, "t")
    assert words in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    text = "match_string,prod_handling,dev_handling\n,Log_only,Log_only\nx,No,Log_only\n"
    with pytest.raises(RuleFilesError) as caught:
        read_rules(text, "t")
    assert [fault.rule for fault in caught.value.faults] == [2, 3]


def test_empty_lines_are_left_out_and_lines_are_counted_as_in_the_file() -> None:
    rows = read_table("a,b\n\n1,2\n,\n3,4\n", ["a", "b"], ["a"])
    assert rows == [(3, {"a": "1", "b": "2"}), (5, {"a": "3", "b": "4"})]
    with pytest.raises(TableError, match="line 3"):
        read_table("a,b\n1,2\n1\n", ["a", "b"], [])
