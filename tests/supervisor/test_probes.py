"""What servers answer, and what it means."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.supervisor.probes import (
    Probe,
    Question,
    Verdict,
    judge_postgres,
    judge_redis,
    postgres_question,
    redis_question,
)
from tests.conftest import Stores


def message(kind: bytes, body: bytes) -> bytes:
    """A backend message of PostgreSQL."""
    return kind + struct.pack("!I", len(body) + 4) + body


AUTHENTICATED = message(b"R", struct.pack("!I", 0))
READY = message(b"Z", b"I")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"+PONG\r\n", Verdict.SERVES),
        (b"+PO", None),
        (b"-LOADING Redis is loading the dataset in memory\r\n", Verdict.ALIVE),
        (b"-NOAUTH Authentication required.\r\n", Verdict.SERVES),
    ],
)
def test_answers_of_redis(answer: bytes, verdict: Verdict | None) -> None:
    assert judge_redis(answer) is verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (AUTHENTICATED, None),
        (AUTHENTICATED + message(b"S", b"TimeZone\0UTC\0") + READY, Verdict.SERVES),
        (message(b"E", b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"), Verdict.ALIVE),
        (message(b"E", b"SFATAL\0C53300\0Msorry, too many clients already\0\0"), Verdict.SERVES),
        (READY[:4], None),
    ],
)
def test_answers_of_postgres(answer: bytes, verdict: Verdict | None) -> None:
    assert judge_postgres(answer) is verdict


@given(st.binary(max_size=200))
def test_no_answer_is_too_strange(answer: bytes) -> None:
    judge_postgres(answer)
    judge_redis(answer)


def ask(question: Question, secs: float = 5.0) -> list[Verdict]:
    """Run one probe in a loop of its own until it has a verdict or time is up."""
    verdicts: list[Verdict] = []
    with selectors.DefaultSelector() as selector:
        probe = Probe(question, selector, verdicts.append)
        deadline = time.monotonic() + secs
        while not verdicts and time.monotonic() < deadline:
            probe.turn(time.monotonic(), 0.05)
            for key, _ in selector.select(0.05):
                key.data()
        probe.close()
        assert not selector.get_map()
    return verdicts


def test_a_real_redis_and_a_real_postgres_serve(stores: Stores) -> None:
    assert ask(redis_question(stores.redis.socket_path)) == [Verdict.SERVES]
    path = Path(stores.postgres.address) / f".s.PGSQL.{stores.postgres.port}"
    assert ask(postgres_question(path, "mutt_user")) == [Verdict.SERVES]


def test_a_missing_server_gives_no_verdict(short_tmp_path: Path) -> None:
    assert ask(redis_question(short_tmp_path / "nothing.sock"), 0.3) == []


def test_a_server_that_accepts_but_does_not_answer_gives_no_verdict(short_tmp_path: Path) -> None:
    path = short_tmp_path / "mute.sock"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        assert ask(redis_question(path), 0.5) == []


def test_a_server_that_hangs_up_gives_no_verdict(short_tmp_path: Path) -> None:
    path = short_tmp_path / "rude.sock"
    with socket.socket(socket.AF_UNIX) as rude, selectors.DefaultSelector() as selector:
        rude.bind(str(path))
        rude.listen()
        verdicts: list[Verdict] = []
        probe = Probe(redis_question(path), selector, verdicts.append)
        probe.turn(time.monotonic(), 0.05)
        rude.accept()[0].close()
        for key, _ in selector.select(2):
            key.data()
        assert verdicts == []
        assert not selector.get_map()
