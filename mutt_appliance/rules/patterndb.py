"""Many texts or patterns searched in one pass, in linear time, by Hyperscan.

Hyperscan is the judge of a pattern it can compile. One with look-around or back-references it can
only pre-filter: then, and only for messages that pass the filter, a backtracking engine with a time
limit confirms. A pattern is searched in UTF-8 with ASCII classes (\\d is 0-9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import hyperscan
import regex

FLAGS_EXACT = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_ALLOWEMPTY
FLAGS_FILTER = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_PREFILTER


@dataclass(frozen=True)
class Pattern:
    """One pattern to search for; `number` is what a hit reports."""

    number: int
    expression: str


@dataclass(frozen=True)
class PatternFault:
    """A pattern that cannot be used, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class Confirmation:
    """A pattern that the backtracking engine has to confirm; unfiltered: on every message."""

    number: int
    matcher: regex.Pattern[str]
    filtered: bool


# Called with (number, start, end, flags, context), once for each text or pattern that is found.
OnHit = Callable[[int, int, int, int, object], None]
Scan = Callable[[bytes, OnHit], None]


def literal_scan(texts: Mapping[int, str]) -> Scan | None:
    """A search for texts by number, without regard to case, in a message that `fold_case` was applied to.

    Hyperscan can ignore case by itself, but then takes three times as long with thousands of texts.
    """
    if not texts:
        return None
    database = hyperscan.Database()
    database.compile(
        expressions=[fold_case(text, text.encode("utf-8", "replace")) for text in texts.values()],
        ids=list(texts),
        elements=len(texts),
        flags=hyperscan.HS_FLAG_SINGLEMATCH,
        literal=True,
    )
    scan: Scan = database.scan
    return scan


def fold_case(text: str, data: bytes) -> bytes:
    """Case folding (str.casefold) of `text`, whose UTF-8 is `data`."""
    return data.lower() if text.isascii() else text.casefold().encode("utf-8", "replace")


class PatternDb:
    """Patterns compiled together.

    `faults` are those left out; `confirmations` those whose hit (or, unfiltered, any message) needs
    a second look; `scans` search a message.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.faults: list[PatternFault] = []
        self.confirmations: dict[int, Confirmation] = {}
        exact, others = _split(patterns, FLAGS_EXACT)
        filtered, unfiltered = _split([p for p in others if self._confirmable(p)], FLAGS_FILTER)
        for pattern in [*filtered, *unfiltered]:
            self._confirm(pattern, filtered=pattern in filtered)
        self.scans: list[Scan] = [
            _compile(part, flags).scan
            for part, flags in ((exact, FLAGS_EXACT), (filtered, FLAGS_FILTER))
            if part
        ]

    def _confirmable(self, pattern: Pattern) -> bool:
        try:
            _backtracking(pattern)
        except regex.error as error:
            self.faults.append(PatternFault(pattern.number, f"does not compile: {error}"))
            return False
        return True

    def _confirm(self, pattern: Pattern, *, filtered: bool) -> None:
        self.confirmations[pattern.number] = Confirmation(pattern.number, _backtracking(pattern), filtered)


def _backtracking(pattern: Pattern) -> regex.Pattern[str]:
    return regex.compile(pattern.expression, regex.ASCII | regex.VERSION0)


def _compile(patterns: Sequence[Pattern], flags: int) -> hyperscan.Database:
    """A database of `patterns`. Raises hyperscan.error if Hyperscan rejects one of them."""
    database = hyperscan.Database()
    database.compile(
        expressions=[pattern.expression.encode("utf-8", "replace") for pattern in patterns],
        ids=[pattern.number for pattern in patterns],
        elements=len(patterns),
        flags=flags,
    )
    return database


def _split(patterns: Sequence[Pattern], flags: int) -> tuple[list[Pattern], list[Pattern]]:
    """(those that Hyperscan takes, those it rejects), found by halving around the rejected ones."""
    if not patterns:
        return [], []
    try:
        _compile(patterns, flags)
    except hyperscan.error:
        if len(patterns) == 1:
            return [], list(patterns)
        middle = len(patterns) // 2
        one, other = _split(patterns[:middle], flags), _split(patterns[middle:], flags)
        return one[0] + other[0], one[1] + other[1]
    return list(patterns), []
