"""Names of processes as supervisord reads them: `alerter:0`, `alerter:*`, and `cat` for `cat:cat`."""

from __future__ import annotations


def split(name: object) -> tuple[str, str | None]:
    """(group, process) of a name; process None for a whole group."""
    group, colon, process = str(name).partition(":")
    if not colon:
        return group, group
    return group, None if process in ("", "*") else process


def group_of(name: str) -> str:
    """`alerter` of `alerter:0`."""
    return name.partition(":")[0]


def process_of(name: str) -> str:
    """`0` of `alerter:0`."""
    return name.partition(":")[2]
