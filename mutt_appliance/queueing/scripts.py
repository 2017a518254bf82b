"""The Lua scripts, by name, with their includes resolved."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

INCLUDE = "--#include "


@cache
def script_source(name: str) -> str:
    """Text of `lua/<name>.lua`; a line `--#include x` is replaced by `lua/x.lua`."""
    text = files("mutt_appliance.queueing").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    lines = [
        script_source(line.removeprefix(INCLUDE).strip()) if line.startswith(INCLUDE) else line
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def text(value: bytes | str) -> str:
    """A Redis answer as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
