"""A child's talk with the supervisor."""

from __future__ import annotations

import asyncio
import threading

from tests.conftest import MakeSettings
from tests.support.children import ChildFactory


def test_ready_and_beats_reach_the_supervisor(make_settings: MakeSettings, child_for: ChildFactory) -> None:
    child = child_for("alerter", make_settings())
    child.ready(rules=3)
    assert child_for.reports(child) == [{"kind": "ready", "rules": 3}, {"kind": "beat"}]


def test_beats_are_not_sent_for_every_turn_of_a_loop(
    make_settings: MakeSettings, child_for: ChildFactory
) -> None:
    child = child_for("alerter", make_settings())
    for _ in range(1000):
        child.beat()
    assert len(child_for.reports(child)) == 1


def test_a_supervisor_that_does_not_read_does_not_block_a_child(
    make_settings: MakeSettings, child_for: ChildFactory
) -> None:
    child = child_for("alerter", make_settings())
    for number in range(20_000):
        child.report("other", number=number)
    assert 0 < len(child_for.reports(child)) < 20_000


def test_a_stop_reaches_an_event_loop_from_any_thread(
    make_settings: MakeSettings, child_for: ChildFactory
) -> None:
    child = child_for("ingestor", make_settings())

    async def main() -> None:
        stopping, reloading = asyncio.Event(), asyncio.Event()
        child.bind_loop(asyncio.get_running_loop(), stopping.set, reloading.set)
        threading.Thread(target=child.request_reload).start()
        await asyncio.wait_for(reloading.wait(), 5)
        threading.Thread(target=child.request_stop).start()
        await asyncio.wait_for(stopping.wait(), 5)

    asyncio.run(main())
    assert child.stopping.is_set()
    child.request_stop()  # the loop is closed by now


def test_a_stop_that_came_before_the_loop_is_not_forgotten(
    make_settings: MakeSettings, child_for: ChildFactory
) -> None:
    child = child_for("ingestor", make_settings())
    child.request_stop()

    async def main() -> None:
        stopping = asyncio.Event()
        child.bind_loop(asyncio.get_running_loop(), stopping.set)
        await asyncio.wait_for(stopping.wait(), 5)

    asyncio.run(main())


def test_a_reload_that_came_before_the_loop_is_not_forgotten(
    make_settings: MakeSettings, child_for: ChildFactory
) -> None:
    child = child_for("ingestor", make_settings())
    child.request_reload()

    async def main() -> None:
        reloading = asyncio.Event()
        child.bind_loop(asyncio.get_running_loop(), lambda: None, reloading.set)
        await asyncio.wait_for(reloading.wait(), 5)

    asyncio.run(main())


def test_a_specification_shows_no_secret(make_settings: MakeSettings, child_for: ChildFactory) -> None:
    child = child_for("ingestor", make_settings())
    assert child.secrets.ingest_api_key not in repr(child.spec)
