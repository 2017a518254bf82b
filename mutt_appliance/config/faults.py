"""What is wrong with a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h: systemd can be told not to restart on it


@dataclass(frozen=True)
class Fault:
    """One fault: the variable, the value given, what it must be, and the way out."""

    variable: str
    value: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        shown = f"{self.variable}={self.value}" if self.value else self.variable
        return f"{shown}: {self.problem}" + (f" ({self.remedy})" if self.remedy else "")


class ConfigError(Exception):
    """The configuration cannot be used; `faults` has every reason, `warnings` what is worth a look beside them."""

    def __init__(self, faults: Sequence[Fault], warnings: Sequence[str] = ()) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
        self.warnings = tuple(warnings)
