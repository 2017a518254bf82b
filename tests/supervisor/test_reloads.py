"""Who has answered a reload; on made-up processes and times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mutt_appliance.supervisor.reloads import RELOAD_TIMEOUT_SECS, Answer, Round


@dataclass
class FakeMember:
    """A process with a report."""

    name: str
    pid: int | None = 7
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answers(self, number: int, **more: Any) -> None:
        self.reports["reload"] = {"round": number, "ok": True, "rules": 5, "rule_errors": 1, **more}


def begun(number: int = 3) -> tuple[FakeMember, Round]:
    return FakeMember("alerter:0"), Round(number, {"alerter:0": 7}, deadline=RELOAD_TIMEOUT_SECS)


def test_an_answer_ends_the_round() -> None:
    member, this = begun()
    this.look([member], 0)
    assert this.answers == {}
    member.answers(3, faults=["rule 1: no"])
    this.look([member], 1)
    assert this.done
    assert this.ok
    assert this.answers["alerter:0"] == Answer("alerter:0", True, 5, 1, "", ["rule 1: no"])


def test_the_answer_to_an_earlier_reload_does_not_count_and_that_to_a_later_one_does() -> None:
    for number, counts in ((2, False), (3, True), (4, True)):
        member, this = begun()
        member.answers(number)
        this.look([member], 0)
        assert this.done is counts


def test_a_process_that_could_not_read_its_rules_fails_the_round() -> None:
    member, this = begun()
    member.answers(3, ok=False, error="database is away")
    this.look([member], 0)
    assert (this.done, this.ok) == (True, False)
    assert this.answers["alerter:0"].error == "database is away"


def test_a_process_that_is_gone_or_another_does_not_answer_any_more() -> None:
    for members in ([], [FakeMember("alerter:0", None)], [FakeMember("alerter:0", 8)]):
        _, this = begun()
        this.look(members, 0)
        assert (this.done, this.ok) == (True, False)


def test_silence_has_an_end() -> None:
    member, this = begun()
    this.look([member], RELOAD_TIMEOUT_SECS - 0.1)
    assert this.answers == {}
    this.look([member], RELOAD_TIMEOUT_SECS)
    assert "no answer within 30 s" in this.answers["alerter:0"].error


def test_with_nobody_asked_it_is_done_and_a_faulty_configuration_fails_it() -> None:
    assert Round(1, {}, 0).done
    assert Round(1, {}, 0).ok
    assert not Round(1, {}, 0, error="REDIS_PORT=x").ok


def test_a_source_of_secrets_that_was_asked_must_answer_too() -> None:
    member, this = begun()
    this.asked_source = 4
    member.answers(3)
    this.look([member], 1)
    assert not this.done
    this.source_answered(3, "the answer to an earlier question")
    assert not this.done
    this.source_answered(5, "", renewed=True)
    assert (this.done, this.ok, this.secrets_changed) == (True, True, True)


def test_a_source_of_secrets_that_does_not_answer_fails_the_round() -> None:
    member, this = begun()
    this.asked_source = 1
    member.answers(3)
    this.look([member], RELOAD_TIMEOUT_SECS)
    assert (this.done, this.ok) == (True, False)
    assert "source of secrets gave no answer" in this.error
