"""What a check says, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mutt_appliance.doctor.patient import Patient

Status = Literal["ok", "warning", "error", "n/a"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    `id` is stable ("redis.version"); `seen` is what was found, in words; `advice` is the way out, empty
    where all is well.
    """

    id: str
    status: Status
    seen: str
    advice: str = ""


@dataclass(frozen=True)
class Check:
    """A function that looks at one kind of thing; `name` begins the id of each of its findings."""

    name: str
    group: str
    run: Callable[[Patient], Iterable[Finding]]


def exit_code(findings: Iterable[Finding], *, strict: bool) -> int:
    """0 when nothing is wrong; 1 for an error, with `strict` for a warning too."""
    bad = ("error", "warning") if strict else ("error",)
    return int(any(finding.status in bad for finding in findings))
