"""An answer that many ask for and one makes, kept for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """What `make` gives, at most `fresh_secs` old. Who asks while it is being made waits for that one."""

    def __init__(self, make: Callable[[], Awaitable[T]], fresh_secs: float) -> None:
        self._make = make
        self._fresh_secs = fresh_secs
        self._made_at = float("-inf")
        self._value: T
        self._making = asyncio.Lock()

    async def get(self) -> T:
        """The answer; raises what `make` raises, and then asks again the next time."""
        async with self._making:
            if time.monotonic() - self._made_at >= self._fresh_secs:
                self._value = await self._make()
                self._made_at = time.monotonic()
            return self._value
