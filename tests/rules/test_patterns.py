"""Messages folded into patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.rules.patterns import PatternHasher, fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Interface Gi0/1 down", "Interface Gi0/48 down"),
        ("peer 10.0.0.1 lost", "peer 192.168.200.17 lost"),
        ("peer 2001:db8::1 lost", "peer fe80::1:2:3:4 lost"),
        ("MAC aa:bb:cc:dd:ee:ff moved", "MAC 00:11:22:33:44:55 moved"),
        ("MAC aabb.ccdd.eeff moved", "MAC 0011.2233.4455 moved"),
        ("commit deadbeef01 done", "commit 0123456789abcdef done"),
        ("id 6f1c9b1e-1111-4222-8333-0123456789ab", "id 00000000-0000-0000-0000-000000000000"),
        ("register 0xDEADBEEF", "register 0x0"),
        ("took 1.5 s", "took 20.25 s"),
        ("at 12:00:01", "at 23:59:59"),
    ],
)
def test_what_varies_from_message_to_message_folds_away(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Interface Gi0/1 down", "Interface Gi0/1 up"),
        ("Interface Gi0/1 down", "Interface Te0/1 down"),
        ("decade", "facade"),
        ("bad cafe", "dead beef"),
        ("defaced", "effaced"),
    ],
)
def test_words_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text(max_size=80), st.integers(0, 10**12))
def test_the_hash_follows_the_pattern_and_nothing_else(text: str, number: int) -> None:
    hasher = PatternHasher()
    data = f"{text} {number} end".encode("utf-8", "replace")
    first = hasher(data)
    assert first == hasher(data) == PatternHasher()(data)
    assert len(first) == 16
    assert int(first, 16) >= 0


def test_one_counter_for_one_kind_of_message() -> None:
    hasher = PatternHasher()
    assert len({hasher(b"session %d of 10.0.%d.1 closed" % (n, n % 250)) for n in range(3000)}) == 1


@pytest.mark.timeout(30)
def test_no_message_makes_folding_slow() -> None:
    for text in ("a:" * 50_000, "1." * 50_000, "abcdef" * 20_000, "0x" * 50_000, "::" * 50_000):
        assert fold(text)
