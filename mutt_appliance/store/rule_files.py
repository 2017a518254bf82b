"""Rules as YAML text: read with every fault named, and written so that it can be read again. No I/O here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import regex
import yaml

MATCH_TYPES = ("contains", "regex", "oid_prefix")
HANDLINGS = ("Page_and_ticket", "Page_only", "Ticket_only", "Log_only", "Suppress")
# As the alerter takes it: a leading dot and a trailing .* are allowed.
OID_PREFIX = re.compile(r"\.?\d+(\.\d+)*(\.\*)?")
FOLDED = re.compile("[\x85\u2028\u2029]")
LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule as a user writes it; the fields and their order are those of a rule in a file."""

    match_string: str | None = None
    trap_oid: str | None = None
    syslog_severity: int | None = None
    match_type: str = "contains"
    priority: int = 100
    prod_handling: str = ""
    dev_handling: str = ""
    team_assignment: str | None = None
    is_active: bool = True
    description: str | None = None

    @property
    def key(self) -> tuple[str, str | None, str | None, int | None]:
        """What the rule matches. Two rules with the same key are the same rule: the later never fires."""
        return self.match_type, self.match_string, self.trap_oid, self.syslog_severity


class RuleFault(NamedTuple):
    """What is wrong in a file: its name, the rule's number (1 is the first; 0: the file itself), and why."""

    file: str
    rule: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: " + (f"rule {self.rule}: " if self.rule else "") + self.problem


class RuleFilesError(Exception):
    """Files of rules cannot be taken; `faults` has every reason."""

    def __init__(self, faults: Iterable[RuleFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def parse_rule_files(texts: Mapping[str, str]) -> list[RuleSpec]:
    """Rules of all files ({name: text}), in order. Raises RuleFilesError with every fault of every file."""
    faults: list[RuleFault] = []
    specs: list[RuleSpec] = []
    seen: dict[object, str] = {}
    for file, text in texts.items():
        for number, raw in enumerate(_entries(file, text, faults), start=1):
            problems = list(_problems(raw))
            faults += [RuleFault(file, number, problem) for problem in problems]
            if problems:
                continue
            spec = RuleSpec(**raw)
            where = f"rule {number} of {file}"
            if (earlier := seen.setdefault(spec.key, where)) != where:
                faults.append(
                    RuleFault(file, number, f"matches the same as {earlier}: leave one of them out")
                )
            specs.append(spec)
    if faults:
        raise RuleFilesError(faults)
    return specs


def render_rules(specs: Iterable[RuleSpec]) -> str:
    """A file of rules; what has its default value is left out."""
    defaults = asdict(RuleSpec())
    entries = [{k: v for k, v in asdict(spec).items() if v != defaults[k]} for spec in specs]
    return yaml.dump({"rules": entries}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def problems_of(spec: RuleSpec) -> list[str]:
    """Every fault of one rule, as `field=value: must be …`."""
    return list(_problems(asdict(spec)))


class _Dumper(yaml.SafeDumper):
    """YAML's writer, which leaves line ends of Unicode as they are outside double quotes; its reader folds them."""


def _represent_text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = '"' if FOLDED.search(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent_text)


def _entries(file: str, text: str, faults: list[RuleFault]) -> list[Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        faults.append(RuleFault(file, 0, f"is not YAML: {_yaml_reason(error)}"))
        return []
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        faults.append(RuleFault(file, 0, "must be a mapping with a list under the key `rules`"))
        return []
    for key in document.keys() - {"rules"}:
        faults.append(RuleFault(file, 0, f"has the unknown key {key!r}: only `rules` is allowed"))
    return list(document["rules"])


def _yaml_reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return str(error).split("\n", 1)[0]


def _problems(raw: object) -> Iterable[str]:
    """Every fault of one entry, as `field=value: must be …`."""
    if not isinstance(raw, dict):
        yield f"{raw!r}: must be a mapping of fields"
        return
    known = [field.name for field in fields(RuleSpec)]
    for name in raw:
        if name not in known:
            yield f"{name}: is not a field of a rule: the fields are {', '.join(known)}"
    for name in ("match_string", "trap_oid", "team_assignment", "description"):
        yield from _check_text(name, raw.get(name))
    yield from _check_integer("syslog_severity", raw.get("syslog_severity"), 0, 7)
    if "priority" in raw:
        yield from _check_integer("priority", raw["priority"], -LARGEST_INTEGER, LARGEST_INTEGER, null=False)
    if not isinstance(raw.get("is_active", True), bool):
        yield f"is_active={raw['is_active']!r}: must be true or false"
    yield from _check_choice("match_type", raw.get("match_type", "contains"), MATCH_TYPES)
    for name in ("prod_handling", "dev_handling"):
        yield from _check_choice(name, raw.get(name), HANDLINGS)
    yield from _check_pattern(raw)


def _check_text(name: str, value: object) -> Iterable[str]:
    if value is None:
        return
    if not isinstance(value, str):
        yield f"{name}={value!r}: must be text: put it into quotes"
    elif "\x00" in value:
        yield f"{name}={value!r}: must not have a NUL character"
    elif not value:
        yield f"{name}='': must not be empty: leave the field out"


def _check_integer(name: str, value: object, low: int, high: int, *, null: bool = True) -> Iterable[str]:
    if value is None and null:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        yield f"{name}={value!r}: must be a whole number from {low} to {high}"


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> Iterable[str]:
    if value not in choices:
        yield f"{name}={value!r}: must be one of {', '.join(choices)}"


def _check_pattern(raw: Mapping[str, Any]) -> Iterable[str]:
    match_type, text, oid = raw.get("match_type", "contains"), raw.get("match_string"), raw.get("trap_oid")
    if isinstance(oid, str) and oid and not OID_PREFIX.fullmatch(oid):
        yield f"trap_oid={oid!r}: must be a numeric OID such as 1.3.6.1.6.3.1.1.5.3"
    if match_type == "oid_prefix":
        if oid is None and text is None:
            yield "trap_oid: must be set for match_type=oid_prefix"
        elif oid is None and isinstance(text, str) and not OID_PREFIX.fullmatch(text):
            yield f"match_string={text!r}: must be a numeric OID for match_type=oid_prefix without trap_oid"
    elif match_type in MATCH_TYPES and text is None:
        yield f"match_string: must be set for match_type={match_type}"
    elif match_type == "regex" and isinstance(text, str):
        try:
            regex.compile(text)
        except regex.error as error:
            yield f"match_string={text!r}: is not a regular expression: {error}"
