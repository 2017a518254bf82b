"""What every bench is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.stores import Stores


class CannotMeasureError(Exception):
    """A bench could not be done; the text says why and the way out."""


@dataclass(frozen=True)
class Run:
    """One run of the harness: `seconds` for a single measurement, repeated `rounds` times.

    `rows` is how many audit rows the web UI is measured with.
    """

    stores: Stores
    seconds: float
    rounds: int
    rows: int
    progress: Callable[[str], None]

    def about(self, name: str) -> Callable[[str], None]:
        """Progress of one bench."""
        return lambda text: self.progress(f"{name}: {text}")
