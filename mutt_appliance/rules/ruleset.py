"""Which rule wins for an event: all rules compiled together, the first by priority and id counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mutt_appliance.rules.patterndb import Pattern, PatternDb, fold_case, literal_scan
from mutt_appliance.store.rules import RuleData, RuleRow

# A rule that overran its time this often is off until the rules are loaded again.
OVERRUNS_ALLOWED = 3


@dataclass(frozen=True, slots=True)
class RuleFault:
    """An active rule that is left out, and why."""

    rule_id: int
    reason: str


class RuleSet:
    """All active rules, ready to match.

    `faults` lists rules that were left out at compile time and those switched off since because
    they took too long; `on_fault` is called for the latter.
    """

    def __init__(
        self,
        data: RuleData,
        regex_timeout_ms: int = 50,
        on_fault: Callable[[RuleFault], None] | None = None,
    ) -> None:
        self.data = data
        self.faults: list[RuleFault] = []
        self._timeout_secs = regex_timeout_ms / 1000
        self._on_fault = on_fault
        self._overruns: dict[int, int] = {}
        self._rules = data.rules
        # Conditions beside the primary one, by rank (the rule's place in the order of priority).
        self._severity: list[int | None] = [rule.syslog_severity for rule in self._rules]
        self._oid: list[str | None] = [None] * len(self._rules)
        self._words: list[str | None] = [None] * len(self._rules)
        self._by_oid: dict[str, list[int]] = {}
        texts: dict[int, str] = {}
        patterns: list[Pattern] = []
        for rank, rule in enumerate(self._rules):
            self._prepare(rank, rule, texts, patterns)
        self._literals = literal_scan(texts)
        self._db = PatternDb(patterns)
        for fault in self._db.faults:
            self.faults.append(RuleFault(self._rules[fault.number].id, fault.reason))
        self._confirmations = dict(self._db.confirmations)
        self._unfiltered = [c.number for c in self._confirmations.values() if not c.filtered]
        self._scans = self._db.scans
        self._hits: list[int] = []
        # Without further conditions on any rule the best hit wins as it is.
        self._plain = [
            self._severity[rank] is None
            and self._oid[rank] is None
            and self._words[rank] is None
            and rank not in self._confirmations
            for rank in range(len(self._rules))
        ]

    def __len__(self) -> int:
        """Rules in force."""
        return len(self._rules) - len(self.faults)

    def _prepare(self, rank: int, rule: RuleRow, texts: dict[int, str], patterns: list[Pattern]) -> None:
        """Sort one rule into the OID index, the texts or the patterns, or report it as a fault."""
        oid = normal_oid_prefix(rule.trap_oid) if rule.trap_oid else None
        if rule.match_type == "oid_prefix":
            primary = oid or normal_oid_prefix(rule.match_string or "")
            if primary is None:
                shown = rule.trap_oid or rule.match_string
                self.faults.append(
                    RuleFault(rule.id, f"trap_oid {shown!r} is not an OID prefix such as 1.3.6.1.4.1.9")
                )
                return
            self._by_oid.setdefault(primary, []).append(rank)
            if oid and rule.match_string:
                self._words[rank] = rule.match_string.casefold()
            return
        if rule.trap_oid and oid is None:
            self.faults.append(RuleFault(rule.id, f"trap_oid {rule.trap_oid!r} is not an OID prefix"))
            return
        if not rule.match_string:
            self.faults.append(RuleFault(rule.id, "match_string is empty and would match every event"))
            return
        if "\0" in rule.match_string:
            self.faults.append(RuleFault(rule.id, "match_string has a NUL character, which no message has"))
            return
        self._oid[rank] = oid
        if rule.match_type == "contains":
            texts[rank] = rule.match_string
        else:
            patterns.append(Pattern(rank, rule.match_string))

    def explain(
        self, message: str, data: bytes, severity: int | None, trap_oid: str | None
    ) -> list[tuple[RuleRow, str | None]]:
        """Rules whose pattern fits, in the order they are tried, each with why it does not match all the same.

        None: it matches. The first of these is what `match` returns.
        """
        hits = self._candidates(message, data, trap_oid)
        return [
            (self._rules[rank], self._why_not(rank, message, severity, trap_oid))
            for rank in sorted(set(hits))
        ]

    def match(self, message: str, data: bytes, severity: int | None, trap_oid: str | None) -> RuleRow | None:
        """The rule that wins, or None. `data` is `message` in UTF-8; `trap_oid` has no leading dot."""
        hits = self._candidates(message, data, trap_oid)
        if not hits:
            return None
        best = min(hits)
        if self._plain[best]:
            return self._rules[best]
        for rank in sorted(hits):
            if self._holds(rank, message, severity, trap_oid):
                return self._rules[rank]
        return None

    def _candidates(self, message: str, data: bytes, trap_oid: str | None) -> list[int]:
        """Ranks of the rules whose main pattern fits, in no order, some more than once."""
        hits = self._hits
        hits.clear()
        if self._literals is not None:
            self._literals(fold_case(message, data), self._on_hit)
        for scan in self._scans:
            scan(data, self._on_hit)
        if self._unfiltered:
            hits += self._unfiltered
        if trap_oid is not None and self._by_oid:
            self._collect_by_oid(trap_oid)
        return hits

    def _on_hit(self, rank: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._hits.append(rank)

    def _collect_by_oid(self, trap_oid: str) -> None:
        by_oid = self._by_oid
        end = len(trap_oid)
        while end > 0:
            ranks = by_oid.get(trap_oid[:end])
            if ranks:
                self._hits += ranks
            end = trap_oid.rfind(".", 0, end)

    def _holds(self, rank: int, message: str, severity: int | None, trap_oid: str | None) -> bool:
        """The conditions of a rule beside the one that made it a candidate."""
        wanted = self._severity[rank]
        if wanted is not None and wanted != severity:
            return False
        oid = self._oid[rank]
        if oid is not None and not is_below(trap_oid, oid):
            return False
        words = self._words[rank]
        if words is not None and words not in message.casefold():
            return False
        return rank not in self._confirmations or self._confirmed(rank, message)

    def _why_not(self, rank: int, message: str, severity: int | None, trap_oid: str | None) -> str | None:
        """What `_holds` does not find, in words."""
        wanted, oid, words = self._severity[rank], self._oid[rank], self._words[rank]
        if wanted is not None and wanted != severity:
            return f"it wants severity {wanted}, the event has {'none' if severity is None else severity}"
        if oid is not None and not is_below(trap_oid, oid):
            return f"the event's trap OID is not {oid} or below"
        if words is not None and words not in message.casefold():
            return "its text is not in the message"
        if rank in self._confirmations and not self._confirmed(rank, message):
            return "its expression does not match the message"
        return None

    def _confirmed(self, rank: int, message: str) -> bool:
        overruns = self._overruns.get(rank, 0)
        if overruns >= OVERRUNS_ALLOWED:
            return False
        try:
            matcher = self._confirmations[rank].matcher
            return matcher.search(message, timeout=self._timeout_secs) is not None
        except TimeoutError:
            self._overruns[rank] = overruns + 1
            if overruns + 1 >= OVERRUNS_ALLOWED:
                self._switch_off(rank)
            return False

    def _switch_off(self, rank: int) -> None:
        fault = RuleFault(
            self._rules[rank].id,
            f"took more than {self._timeout_secs * 1000:.0f} ms on {OVERRUNS_ALLOWED} messages and is switched off "
            "until the rules are loaded again: rewrite it without nested repetition, look-around or back-references",
        )
        self.faults.append(fault)
        if rank in self._unfiltered:
            self._unfiltered.remove(rank)
        if self._on_fault is not None:
            self._on_fault(fault)


def normal_oid_prefix(text: str) -> str | None:
    """An OID prefix without leading dot and trailing `.*`; None if it is no numeric OID."""
    oid = text.strip().removesuffix(".*").removesuffix(".").lstrip(".")
    return oid if oid and all(arc.isascii() and arc.isdigit() for arc in oid.split(".")) else None


def is_below(oid: str | None, prefix: str) -> bool:
    """True if `prefix` is `oid` or whole arcs at its beginning: 1.3.6 is not above 1.3.61."""
    return oid is not None and (oid == prefix or oid.startswith(prefix + "."))
