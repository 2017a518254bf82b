"""The secrets of the appliance as one value that cannot be printed by accident."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys by their names in lower case; `repr` shows none of them."""

    ingest_api_key: str = field(default="", repr=False)
    moog_api_key: str = field(default="", repr=False)
    webui_api_key: str = field(default="", repr=False)
    redis_pass: str = field(default="", repr=False)
    db_pass: str = field(default="", repr=False)
