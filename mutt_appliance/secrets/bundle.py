"""The secrets of the appliance as one value that cannot be printed by accident."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys by their names in lower case; `repr` shows none of them.

    During a rotation a `…_next` is the value that follows: API keys of callers are accepted in both, our own
    passwords are tried in both.
    """

    ingest_api_key: str = field(default="", repr=False)
    moog_api_key: str = field(default="", repr=False)
    webui_api_key: str = field(default="", repr=False)
    redis_pass: str = field(default="", repr=False)
    db_pass: str = field(default="", repr=False)
    redis_sentinel_pass: str = field(default="", repr=False)
    ingest_api_key_next: str = field(default="", repr=False)
    moog_api_key_next: str = field(default="", repr=False)
    webui_api_key_next: str = field(default="", repr=False)
    redis_pass_next: str = field(default="", repr=False)
    db_pass_next: str = field(default="", repr=False)
    redis_sentinel_pass_next: str = field(default="", repr=False)
    otel_exporter_otlp_headers: str = field(default="", repr=False)
