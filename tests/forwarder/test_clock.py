"""A clock that was set back: what Redis has with times of the old one holds nothing up."""

from __future__ import annotations

import asyncio
import json
import time

import redis

from mutt_appliance.queueing.circuit import Circuit, ProbePolicy
from mutt_appliance.queueing.client import async_client
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from tests.conftest import MakeSettings
from tests.forwarder.conftest import NOWHERE, RETRY_SET, RunForwarder, alert, eventually, places, push
from tests.forwarder.test_breaker import CIRCUIT, is_open
from tests.support.moogsoft import Moogsoft

BACK_MS = 5 * 3_600_000


def test_a_retry_and_a_probe_of_before_are_not_waited_for(
    settings_for: MakeSettings, moogsoft: Moogsoft, store: redis.Redis, forwarder: RunForwarder
) -> None:
    async def scenario() -> None:
        before = int(time.time() * 1000) + BACK_MS
        store.zadd(RETRY_SET, {json.dumps(alert(1)): before + 1000})
        push(store, alert(2))
        store.hset(
            CIRCUIT,
            mapping={
                "opened_at": before, "row": before, "failed_at": before, "failures": 5, "backlog": 1,
                "interval": 400, "probe_at": before + 400, "reason": "http_503",
            },
        )  # fmt: skip
        async with forwarder(settings_for(brpoplpush_timeout=1)):
            await eventually(lambda: not is_open(store), "a probe closes the circuit")
            await eventually(lambda: places(store) == NOWHERE, "everything is delivered")
            store.zadd(RETRY_SET, {json.dumps(alert(3)): before + 1000})
            await eventually(lambda: places(store) == NOWHERE, "a retry is delivered")
        assert sorted(moogsoft.accepted_ids()) == ["alert-1", "alert-2", "alert-3"]

    asyncio.run(scenario())


def test_a_success_ends_failures_of_before(settings_for: MakeSettings, store: redis.Redis) -> None:
    async def scenario() -> None:
        settings = settings_for()
        client = async_client(settings, Secrets(), "test")
        circuit = Circuit(client, KeySpace(settings))
        await circuit.failed(ProbePolicy(5, 400, 400), "http_503", probe=False, first=False)
        store.hincrby(CIRCUIT, "failed_at", BACK_MS)
        assert (await circuit.look(None)).failures == 1
        assert (await circuit.look(10)).failures == 0
        await client.aclose()

    asyncio.run(scenario())
