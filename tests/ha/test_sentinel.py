"""A master that goes away under load: nothing that was answered is lost, and nobody has to restart anything.

Three machines with a Redis and a Sentinel each, from the templates of etc/redis, TLS and passwords.
"""

from __future__ import annotations

import pytest

from tests.support.failover import CUT_OFF, FROZEN, KILLED, PLANNED, WHOLE_SECS, Scene, Trouble, scene
from tests.support.ledger import Books, faults, lost, summary
from tests.support.redis_ha import MASTER, REDIS_PORT, SENTINEL_PORT
from tests.support.waiting import wait_until

TIMES = 5
EVENTS_PER_SEC = 1000
SAFE = {"REDIS_WAIT_REPLICAS": "1"}
UNSAFE = {"REDIS_WAIT_REPLICAS": "0"}
# Two masters at once, until Sentinel has come to the old one and MUTT has looked.
TWO_MASTERS_MOST_SECS = 5.0


def name(trouble: Trouble) -> str:
    """As part of a test's name."""
    return trouble.name.replace(" ", "-")


def report(what: str, play: Scene, books: Books) -> None:
    """Print what was seen."""
    assert play.load is not None
    print(f"\n{what}")
    lines = {
        "a new master after (s)": [round(secs, 1) for secs in play.moves],
        "longest pause of ingest (s)": [round(secs, 1) for secs in play.pauses],
        "events per second": round(play.load.answered / play.load.seconds),
        "answers": dict(play.load.answers),
        **summary(books),
        "lost": lost(books),
        "what does not add up": faults(books),
    }
    for figure, value in lines.items():
        print(f"  {figure:42} {value}")


def denied(play: Scene) -> list[str]:
    """What users of Redis and of the Sentinels asked for and may not do."""
    entries = []
    for machine in play.ha.machines:
        for port in (REDIS_PORT, SENTINEL_PORT):
            entries += [
                f"{machine.address}:{port} {entry}" for entry in play.ha.ask(machine, port, "ACL", "LOG")
            ]
    return entries


def strike(play: Scene, trouble: Trouble, what: str) -> Books:
    """Strike TIMES times, go through the books; nobody may have died meanwhile."""
    children = play.appliance.children()
    for _ in range(TIMES):
        play.fail(trouble)
        wait_until(play.ha.whole, WHOLE_SECS, play.ha.log_tails())
    books = play.finish()
    report(f"{MASTER} {trouble.name} {TIMES} times, {what}", play, books)
    assert play.appliance.children() == children
    return books


@pytest.mark.ha
@pytest.mark.timeout(900)
@pytest.mark.parametrize("trouble", [KILLED, FROZEN, CUT_OFF, PLANNED], ids=name)
def test_nothing_answered_is_lost_in_five_failovers(trouble: Trouble) -> None:
    with scene(SAFE, 1) as play:
        assert faults(strike(play, trouble, "with WAIT")) == []
        assert denied(play) == []


@pytest.mark.ha
@pytest.mark.timeout(900)
@pytest.mark.parametrize("trouble", [KILLED, FROZEN, CUT_OFF, PLANNED], ids=name)
def test_what_five_failovers_lose_without_wait_is_counted(trouble: Trouble) -> None:
    with scene(UNSAFE, 2) as play:
        books = strike(play, trouble, "without WAIT")
        assert lost(books) < TIMES * TWO_MASTERS_MOST_SECS * EVENTS_PER_SEC


@pytest.mark.parametrize("trouble", [KILLED, PLANNED], ids=name)
def test_nothing_answered_is_lost_in_a_failover(trouble: Trouble) -> None:
    with scene(SAFE, 3) as play:
        children = play.appliance.children()
        play.fail(trouble)
        books = play.finish()
        report(f"{MASTER} {trouble.name}", play, books)
        assert faults(books) == []
        assert play.appliance.children() == children
        assert denied(play) == []
