"""The rules as the alerters have them, compiled when they have changed, for trying out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mutt_appliance.config import Settings
from mutt_appliance.rules.ruleset import RuleSet
from mutt_appliance.store.rules import RuleRow, Stamp, load_rule_data, rules_stamp

LOOK_SECS = 1.0
"""A change is seen after this time."""


class RuleBook:
    """`run` is that of Stores: a function of a connection, in a thread."""

    def __init__(self, settings: Settings, run: Callable[..., Awaitable[Any]]) -> None:
        self._regex_timeout_ms = settings.regex_timeout_ms
        self._run = run
        self._stamp: Stamp | None = None
        self._looked_at = float("-inf")
        self._rules: RuleSet
        self._loading = asyncio.Lock()

    async def current(self) -> RuleSet:
        """The active rules; to be used in the event loop only. Raises StoreUnavailable."""
        async with self._loading:
            if time.monotonic() - self._looked_at >= LOOK_SECS:
                stamp: Stamp = await self._run(rules_stamp)
                if stamp != self._stamp:
                    data = await self._run(load_rule_data)
                    self._rules = await asyncio.to_thread(RuleSet, data, self._regex_timeout_ms)
                    self._stamp = stamp
                self._looked_at = time.monotonic()
            return self._rules


def winner(rules: RuleSet, event: Mapping[str, Any]) -> RuleRow | None:
    """The rule that handles `event`, matched as an alerter does."""
    message = event.get("message") or ""
    return rules.match(
        message, message.encode("utf-8", "replace"), event.get("syslog_severity"), event.get("trap_oid")
    )
