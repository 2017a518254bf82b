"""The circuit to Moogsoft, shared by all forwarders: closed, or open while an outage lasts.

Failures in a row, of whichever forwarder, open it. Then only probes go out, one in each interval, and the first that
is answered closes it. After that the backlog of the outage is still to be worked off; that is noted until it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
import redis.asyncio

from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import script_source, text


@dataclass(frozen=True)
class CircuitState:
    """How it is. Times are in ms since 1970 by the clock of Redis, 0 for none.

    `row` is when the `failures` in a row began, `reason` that of the last one; `backlog`: an outage lasts, or what
    it left waiting is not worked off.
    """

    opened_at: int = 0
    failures: int = 0
    row: int = 0
    reason: str = ""
    interval_ms: int = 0
    probe_at: int = 0
    backlog: bool = False

    @property
    def open(self) -> bool:
        """True while only probes go out."""
        return self.opened_at > 0


CLOSED = CircuitState()


@dataclass(frozen=True)
class ProbePolicy:
    """How many failures in a row open the circuit (0: none do), and the time between probes (ms)."""

    failures: int
    first_ms: int
    longest_ms: int


@dataclass(frozen=True)
class Failed:
    """After a failure: how the circuit is, when the failures in a row began, whether this one opened it."""

    open: bool
    row: int
    opens: bool


def circuit_state(fields: Mapping[str, str]) -> CircuitState:
    """The state out of its hash."""

    def number(name: str) -> int:
        return int(float(fields.get(name, 0)))

    return CircuitState(
        number("opened_at"),
        number("failures"),
        number("row"),
        fields.get("reason", ""),
        number("interval"),
        number("probe_at"),
        "backlog" in fields,
    )


class Circuit:
    """The circuit as forwarders deal with it (asyncio). Every method may raise redis.RedisError."""

    def __init__(self, client: redis.asyncio.Redis, keys: KeySpace) -> None:
        self._keys = [keys.circuit]
        self._look = client.register_script(script_source("circuit_look"))
        self._failed = client.register_script(script_source("circuit_failed"))
        self._probe = client.register_script(script_source("circuit_probe"))
        self._close = client.register_script(script_source("circuit_close"))

    async def look(self, worked_ms_ago: int | None) -> CircuitState:
        """How it is; a success of `worked_ms_ago` ends the failures in a row that came before it."""
        fields, _ = await self._look(keys=self._keys, args=[-1 if worked_ms_ago is None else worked_ms_ago])
        values = [text(field) for field in fields]
        return circuit_state(dict(zip(values[::2], values[1::2], strict=True)))

    async def failed(self, policy: ProbePolicy, reason: str, *, probe: bool, first: bool) -> Failed:
        """Count a request that failed as in an outage; the `first` after a success begins a new row."""
        args: list[str | int] = [
            policy.failures,
            reason,
            policy.first_ms,
            policy.longest_ms,
            int(probe),
            int(first),
        ]
        opened_at, row, opens = await self._failed(keys=self._keys, args=args)
        return Failed(int(opened_at) > 0, int(row), bool(opens))

    async def may_probe(self, longest_ms: int) -> bool:
        """True for the one forwarder that may send the probe that is due, after `longest_ms` at the latest."""
        return bool(await self._probe(keys=self._keys, args=[longest_ms]))

    async def close(self, opened_at: int) -> bool:
        """Moogsoft answers; False if another forwarder was quicker."""
        return bool(await self._close(keys=self._keys, args=[opened_at]))


def read_circuit(client: redis.Redis, keys: KeySpace) -> CircuitState:
    """How it is, for who has no event loop. May raise redis.RedisError."""
    answer: Any = client.hgetall(keys.circuit)
    return circuit_state({text(name): text(value) for name, value in answer.items()})


async def read_circuit_async(client: redis.asyncio.Redis, keys: KeySpace) -> CircuitState:
    """The same from an event loop."""
    answer: Any = await client.hgetall(keys.circuit)
    return circuit_state({text(name): text(value) for name, value in answer.items()})


def caught_up(client: redis.Redis, keys: KeySpace) -> bool:
    """Note that the backlog is gone; False if there was none, or a new outage. May raise redis.RedisError."""
    script = client.register_script(script_source("circuit_caught_up"))
    return bool(script(keys=[keys.circuit]))
