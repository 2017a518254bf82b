"""SQL statements of the demonstration as files of their own."""

from __future__ import annotations

from importlib import resources


def query(name: str) -> str:
    """Text of `<name>.sql` beside this module."""
    return (resources.files(__package__) / f"{name}.sql").read_text(encoding="utf-8")
