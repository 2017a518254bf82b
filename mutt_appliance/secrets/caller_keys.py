"""The key that callers must give: during a rotation either of two."""

from __future__ import annotations

import hmac
from typing import Literal


class CallerKeys:
    """Compares what a caller gave with the current and the next key, in a time that tells neither."""

    def __init__(self, current: str, following: str) -> None:
        self._current = current.encode()
        # Without a next key the same work is done, and its result is not used.
        self._next = (following or current).encode()
        self._two = bool(following)

    def which(self, given: str) -> Literal["current", "next"] | None:
        """The key that was given, None for neither; an empty one is never right."""
        raw = given.encode("utf-8", "replace")
        is_current = hmac.compare_digest(raw, self._current)
        is_next = hmac.compare_digest(raw, self._next)
        if not raw:
            return None
        if is_current:
            return "current"
        return "next" if is_next and self._two else None
