"""Rules, hosts and teams as CSV text (RFC 4180): read with every fault named, written so that it can be read again.

Spreadsheets run cells that begin with = + - @ as formulas. Such a cell is written with a ' before it, which is
taken off again when it is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from mutt_appliance.store.rule_files import RuleFault, RuleFilesError, RuleSpec, problems_of

RULE_COLUMNS = tuple(field.name for field in fields(RuleSpec))
INTEGERS = ("syslog_severity", "priority")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
CELL_MAX_CHARS = 1 << 20
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class TableError(Exception):
    """A table cannot be taken; `faults` are (line, problem), line 0 for the table itself."""

    def __init__(self, faults: Sequence[tuple[int, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {problem}" for line, problem in faults))
        self.faults = tuple(faults)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table, with a head if there are columns; None is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if columns:
        writer.writerow(columns)
    for row in rows:
        writer.writerow([guarded(value) for value in row])
    return out.getvalue()


def guarded(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return "'" + text if isinstance(value, str) and text.startswith(FORMULA) else text


def read_table(
    text: str, columns: Sequence[str], required: Sequence[str], *, short_rows: bool = False
) -> list[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row; empty rows are left out, cells are not. Raises TableError.

    With `short_rows` cells at the end of a row may be missing, and are empty.
    """
    before = csv.field_size_limit(CELL_MAX_CHARS)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        head = [name.strip() for name in next(reader, [])]
        problems = [
            f"{name[:80]!r} is no column: the columns are {', '.join(columns)}"
            for name in head
            if name not in columns
        ]
        problems += [f"the column {name} is missing" for name in required if name not in head]
        problems += [
            f"the column {name} is there twice" for name in dict.fromkeys(head) if head.count(name) > 1
        ]
        if problems:
            raise TableError([(1, problem) for problem in problems])
        rows, faults = [], []
        for cells in reader:
            line = reader.line_num
            if not any(cells):
                continue
            if short_rows:
                cells += [""] * (len(head) - len(cells))
            if len(cells) != len(head):
                faults.append((line, f"has {len(cells)} cells, the head has {len(head)}"))
                continue
            rows.append((line, {name: _plain(cell) for name, cell in zip(head, cells, strict=True)}))
    except csv.Error as error:
        raise TableError([(reader.line_num, f"is not CSV: {error}")]) from error
    finally:
        csv.field_size_limit(before)
    if faults:
        raise TableError(faults)
    return rows


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def write_rules(specs: Iterable[RuleSpec]) -> str:
    """Rules as a table, a column for each field."""
    return write_table(RULE_COLUMNS, (tuple(asdict(spec).values()) for spec in specs))


def read_rules(text: str, name: str) -> list[RuleSpec]:
    """Rules of a table called `name`; raises RuleFilesError with every fault."""
    try:
        rows = read_table(text, RULE_COLUMNS, ("prod_handling", "dev_handling"))
    except TableError as error:
        raise RuleFilesError(RuleFault(name, line, problem) for line, problem in error.faults) from error
    faults: list[RuleFault] = []
    specs: list[RuleSpec] = []
    seen: dict[object, int] = {}
    for line, cells in rows:
        spec, problems = _rule(cells)
        problems += problems_of(spec) if not problems else []
        faults += [RuleFault(name, line, problem) for problem in problems]
        if not problems:
            if (earlier := seen.setdefault(spec.key, line)) != line:
                faults.append(
                    RuleFault(name, line, f"matches the same as line {earlier}: leave one of them out")
                )
            specs.append(spec)
    if faults:
        raise RuleFilesError(faults)
    return specs


def _rule(cells: dict[str, str]) -> tuple[RuleSpec, list[str]]:
    """A rule and what its cells have that no field can; an empty cell is the default."""
    values: dict[str, Any] = {}
    problems = []
    for name, cell in cells.items():
        if cell == "":
            continue
        if name in INTEGERS:
            try:
                values[name] = int(cell)
            except ValueError:
                problems.append(f"{name}={cell!r}: must be a whole number")
        elif name == "is_active":
            truth = TRUTHS.get(cell.strip().lower())
            if truth is None:
                problems.append(f"is_active={cell!r}: must be true or false")
            values[name] = truth
        else:
            values[name] = cell
    return RuleSpec(**values), problems
