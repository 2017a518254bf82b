"""From a key to the person it stands for."""

from __future__ import annotations

import asyncio
import time

from mutt_appliance.process import Child
from mutt_appliance.store.api_keys import all_keys
from mutt_appliance.webui.access import ADMINISTRATOR, Person, Role, key_digest, same_key
from mutt_appliance.webui.stores import Stores

FRESH_SECS = 2.0
"""A key that was added or removed counts everywhere after this time."""


class KeyRing:
    """WEBUI_API_KEY, and the named keys of the database as they were a moment ago."""

    def __init__(self, child: Child, stores: Stores) -> None:
        self._child = child
        self._stores = stores
        self._people: dict[bytes, Person] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def person(self, key: str) -> Person | None:
        """Who has that key; raises StoreUnavailable when only the database could tell."""
        # Asked for each time: a reload may have brought a new one.
        if same_key(key, self._child.secrets.webui_api_key):
            return Person(ADMINISTRATOR, Role.ADMIN)
        async with self._reading:
            if time.monotonic() - self._read_at > FRESH_SECS:
                keys = await self._stores.run(all_keys)
                self._people = {each.digest: Person(each.name, Role[each.role.upper()]) for each in keys}
                self._read_at = time.monotonic()
        return self._people.get(key_digest(key))
