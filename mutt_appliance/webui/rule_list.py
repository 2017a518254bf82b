"""All rules as the API shows them, read again only when they have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from mutt_appliance.store.rule_editing import VersionedRule, all_rules
from mutt_appliance.store.rules import Stamp, rules_stamp

Listed = tuple[VersionedRule, dict[str, Any]]
"""A rule, and what the API says of it."""


class RuleList:
    """`run` is that of Stores. Whoever changed them, here or elsewhere: the next call sees it."""

    def __init__(self, run: Callable[..., Awaitable[Any]]) -> None:
        self._run = run
        self._stamp: Stamp | None = None
        self._listed: Sequence[Listed] = ()
        self._reading = asyncio.Lock()

    async def current(self) -> Sequence[Listed]:
        """Every rule in the order they are tried. Raises StoreUnavailable."""
        async with self._reading:
            stamp: Stamp = await self._run(rules_stamp)
            if stamp != self._stamp:
                rules: list[VersionedRule] = await self._run(all_rules)
                self._listed = [(rule, document(rule)) for rule in rules]
                self._stamp = stamp
            return self._listed


def document(rule: VersionedRule) -> dict[str, Any]:
    """A rule as the API shows it."""
    return {
        "id": rule.id,
        **asdict(rule.spec),
        "version": rule.version,
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
    }
