"""One reload: who was asked, and what each answered; times come in, nothing is sent from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

RELOAD_TIMEOUT_SECS = 30.0


class Asked(Protocol):
    """What a round looks at: a member of the supervisor's table."""

    name: str
    reports: dict[str, dict[str, Any]]

    @property
    def pid(self) -> int | None:
        """Process id while there is a process."""


@dataclass(frozen=True)
class Answer:
    """What one process made of the reload, and the fault if there was one.

    `told` is that in words; of a process without rules it is all there is.
    """

    name: str
    ok: bool
    rules: int = 0
    rule_errors: int = 0
    error: str = ""
    faults: list[str] = field(default_factory=list)
    told: str = ""


@dataclass
class Round:
    """Reload `number`. `pids` are those asked, by name; `error` is what was wrong with the configuration.

    `asked_source` is the number of the question to the source of secrets that is not answered yet.
    """

    number: int
    pids: dict[str, int]
    deadline: float
    error: str = ""
    changed_settings: list[str] = field(default_factory=list)
    secrets_changed: bool = False
    asked_source: int | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    done_told: bool = False

    @property
    def done(self) -> bool:
        """True when each process and the source of secrets have answered, or will not."""
        return len(self.answers) == len(self.pids) and self.asked_source is None

    @property
    def ok(self) -> bool:
        """True when nothing failed."""
        return not self.error and all(answer.ok for answer in self.answers.values())

    def look(self, members: Iterable[Asked], now: float) -> None:
        """Take the answers that have come."""
        if self.asked_source is not None and now >= self.deadline:
            self.source_answered(
                self.asked_source, f"the source of secrets gave no answer within {RELOAD_TIMEOUT_SECS:g} s"
            )
        at_hand = {member.name: member for member in members}
        for name, pid in self.pids.items():
            if name not in self.answers:
                answer = self._answer(name, pid, at_hand.get(name), now)
                if answer is not None:
                    self.answers[name] = answer

    def source_answered(self, number: int, error: str, *, renewed: bool = False) -> None:
        """The source of secrets has answered question `number` and those before."""
        if self.asked_source is None or number < self.asked_source:
            return
        self.asked_source = None
        self.secrets_changed = self.secrets_changed or renewed
        self.error = self.error or error

    def _answer(self, name: str, pid: int, member: Asked | None, now: float) -> Answer | None:
        report = member.reports.get("reload", {}) if member is not None else {}
        if member is None or member.pid != pid:
            return Answer(
                name, ok=False, error="it ended before it answered; it reads all of it as it starts"
            )
        if report.get("round", 0) >= self.number:
            return Answer(
                name,
                ok=bool(report["ok"]),
                rules=int(report.get("rules", 0)),
                rule_errors=int(report.get("rule_errors", 0)),
                error=str(report.get("error", "")),
                faults=[str(fault) for fault in report.get("faults", [])],
                told=str(report.get("told", "")),
            )
        if now >= self.deadline:
            return Answer(name, ok=False, error=f"no answer within {RELOAD_TIMEOUT_SECS:g} s")
        return None
