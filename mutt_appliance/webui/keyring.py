"""From a key to the person it stands for."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass

from mutt_appliance.process import Child
from mutt_appliance.store.api_keys import all_keys
from mutt_appliance.telemetry.secret_use import BOTH, KeyUse
from mutt_appliance.webui.access import ADMINISTRATOR, Person, Role, key_digest
from mutt_appliance.webui.stores import Stores

FRESH_SECS = 2.0
"""A key that was taken away is refused everywhere after this time."""
UNKNOWN_SECS = 0.25
"""A key that is not known may have been made since; so often it is looked for."""


@dataclass(frozen=True)
class Holder:
    """A person and the digest of their key."""

    person: Person
    digest: bytes


class KeyRing:
    """WEBUI_API_KEY, and the named keys of the database as they were a moment ago."""

    def __init__(self, child: Child, stores: Stores, use: KeyUse) -> None:
        self._child = child
        self._use = use
        self._stores = stores
        self._by_digest: dict[bytes, Holder] = {}
        self._by_name: dict[str, Holder] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def holder(self, key: str) -> Holder | None:
        """Who has that key; raises StoreUnavailable when only the database could tell."""
        digest = key_digest(key)
        administrators = self._administrators()
        matches = [hmac.compare_digest(digest, each.digest) for each in administrators]
        if key and any(matches):
            return self.used(administrators[matches.index(True)])
        await self._refresh(FRESH_SECS)
        if digest not in self._by_digest:
            await self._refresh(UNKNOWN_SECS)
        return self._by_digest.get(digest)

    async def named(self, name: str) -> list[Holder]:
        """Who has that name, once with each of their keys; raises StoreUnavailable as `holder` does."""
        if name == ADMINISTRATOR:
            return self._administrators()
        await self._refresh(FRESH_SECS)
        return [self._by_name[name]] if name in self._by_name else []

    def used(self, holder: Holder) -> Holder:
        """Note that this key, or a session that began with it, was used: an old WEBUI_API_KEY that is can't go yet."""
        if holder.person.name == ADMINISTRATOR:
            digests = [each.digest for each in self._administrators()]
            if holder.digest in digests:
                self._use.used(BOTH[digests.index(holder.digest)])
        return holder

    def _administrators(self) -> list[Holder]:
        """One, during a rotation two: current and next."""
        # Asked for each time: a reload may have brought new ones.
        keys = self._child.secrets.both("webui_api_key")
        return [Holder(Person(ADMINISTRATOR, Role.ADMIN), key_digest(key)) for key in keys if key]

    async def _refresh(self, older_than_secs: float) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at <= older_than_secs:
                return
            keys = await self._stores.run(all_keys)
            holders = [Holder(Person(key.name, Role[key.role.upper()]), key.digest) for key in keys]
            self._by_digest = {holder.digest: holder for holder in holders}
            self._by_name = {holder.person.name: holder for holder in holders}
            self._read_at = time.monotonic()
