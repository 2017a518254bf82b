"""SQL statements as files of their own."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def query(name: str) -> str:
    """Text of `<name>.sql` beside this module."""
    return (resources.files(__package__) / f"{name}.sql").read_text(encoding="utf-8")
