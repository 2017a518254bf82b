"""What the editing of rules, teams and development hosts has in common."""

from __future__ import annotations


class NotFoundError(Exception):
    """There is no such thing (any more)."""


class ConflictError(Exception):
    """It would be there twice; the text says which is there."""


class VersionError(Exception):
    """Somebody else changed it meanwhile; `current` is the version that is there."""

    def __init__(self, current: int) -> None:
        super().__init__(f"it was changed meanwhile and is version {current} now")
        self.current = current


def check_version(current: int, expected: int | None) -> None:
    """Raise VersionError unless the caller saw `current`, or does not care (None)."""
    if expected is not None and expected != current:
        raise VersionError(current)
