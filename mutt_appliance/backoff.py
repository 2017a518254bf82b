"""Waiting longer each time, and not in step with others that wait for the same."""

from __future__ import annotations

import random


class Backoff:
    """Delays that double from `first_secs` to `longest_secs`, each shortened by chance by up to a half."""

    def __init__(self, first_secs: float, longest_secs: float) -> None:
        self._first_secs = first_secs
        self._longest_secs = longest_secs
        self._delay_secs = first_secs

    def next_secs(self) -> float:
        """How long to wait now, after one more failure."""
        delay, self._delay_secs = self._delay_secs, min(self._delay_secs * 2, self._longest_secs)
        # Processes that lost a server at the same moment must not all come back to it at the same moment.
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def reset(self) -> None:
        """It went well."""
        self._delay_secs = self._first_secs
