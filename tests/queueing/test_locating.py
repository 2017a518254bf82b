"""Who the master is: what Sentinels and nodes of a Cluster answer, and whose word counts."""

from __future__ import annotations

import pytest

from mutt_appliance.config.addresses import Address, parse_address
from mutt_appliance.queueing.locating import (
    MasterNotFoundError,
    Witnesses,
    Word,
    cluster_question,
    newest,
    sentinel_question,
    slot_of,
)

OLD, NEW = Address("192.0.2.11", 6379), Address("192.0.2.12", 6379)
ASKED = Address("192.0.2.99", 7000)
NODES = (
    b"aaa 192.0.2.11:7000@17000 master - 0 0 4 connected 0-8191\n"
    b"bbb 192.0.2.12:7000@17000,two.example.com myself,master - 0 0 7 connected 8192-16383\n"
    b"ccc 192.0.2.13:7000@17000 slave bbb 0 0 7 connected\n"
)
MUTT_SLOT = slot_of("mutt")


def sentinel_answers(epoch: int, host: bytes, port: bytes = b"6379") -> list[object]:
    """A Sentinel's answers to both questions."""
    entry = [b"name", b"mymaster", b"ip", b"192.0.2.1", b"config-epoch", b"%d" % epoch, b"quorum", b"2"]
    return [entry, [host, port]]


def slots(host: bytes | None) -> list[object]:
    """The answer to CLUSTER SLOTS of a cluster of two, of which the second has the slot of {mutt}."""
    first, second = (0, MUTT_SLOT - 1), (MUTT_SLOT, 16383)
    return [
        [*first, [b"192.0.2.11", 7000, b"aaa"]],
        [*second, [host, 7000, b"bbb"], [b"192.0.2.13", 7000, b"ccc"]],
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis-1", ("redis-1", 26379)),
        (" redis-1:6379 ", ("redis-1", 6379)),
        ("[2001:db8::1]:6379", ("2001:db8::1", 6379)),
        ("2001:db8::1", ("2001:db8::1", 26379)),
    ],
)
def test_an_address_has_a_port_or_the_usual_one(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text, 26379) == address


@pytest.mark.parametrize(
    "text", ["", ":6379", "redis-1:", "redis-1:x", "redis-1:70000", "[::1", "a/b:1", "redis-1:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|port from|\[address\]"):
        parse_address(text, 26379)


def test_the_newest_word_counts_however_many_say_the_old_one() -> None:
    assert newest([Word(3, OLD), Word(4, NEW), Word(3, OLD)]) == NEW


def test_among_words_of_one_epoch_the_majority_counts() -> None:
    assert newest([Word(0, OLD), Word(0, NEW), Word(0, NEW)]) == NEW


def test_a_sentinel_in_a_failover_names_the_new_master_with_the_new_epoch() -> None:
    word = sentinel_question("mymaster").read(sentinel_answers(8, b"192.0.2.12"), ASKED)
    assert word == Word(8, NEW)


@pytest.mark.parametrize(
    ("tag", "slot"),
    # The slots that redis-server gives for CLUSTER KEYSLOT.
    [("mutt", 10530), ("mutt-1", 13582), ("123456789", 12739)],
)
def test_a_tag_has_the_slot_that_redis_gives_it(tag: str, slot: int) -> None:
    assert slot_of(tag) == slot


@pytest.mark.parametrize(
    ("named", "host"),
    [(b"192.0.2.12", "192.0.2.12"), (b"two.example.com", "two.example.com"), (None, ASKED.host)],
)
def test_a_node_names_the_owner_of_the_slot_and_its_epoch(named: bytes | None, host: str) -> None:
    word = cluster_question("mutt").read([slots(named), NODES], ASKED)
    assert word == Word(7, Address(host, 7000))


def test_a_slot_without_an_owner_has_no_master() -> None:
    assert cluster_question("mutt").read([[], NODES], ASKED) is None


class Scripted:
    """Stands for the connection to a witness: answers in turn, or fails."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = 0

    def send_command(self, *_: object) -> None:
        """Take the question."""
        self.asked += 1

    def read_response(self) -> object:
        """The next answer."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def disconnect(self) -> None:
        """Forget it."""


def witnesses(*connections: Scripted) -> Witnesses:
    """Three Sentinels, or as many as there are connections."""
    waiting = list(connections)
    addresses = [Address(f"sentinel-{number}", 26379) for number in range(len(waiting))]
    return Witnesses(addresses, sentinel_question("mymaster"), lambda _: waiting.pop(0))


def test_a_witness_that_does_not_answer_is_left_alone_while_another_does() -> None:
    silent = Scripted(OSError("no route to host"))
    good = Scripted(*sentinel_answers(1, b"192.0.2.11"), *sentinel_answers(1, b"192.0.2.11"))
    asked = witnesses(silent, good)
    assert [asked.locate(), asked.locate()] == [OLD, OLD]
    assert silent.asked == 2


def test_when_nobody_answers_the_error_says_what_each_of_them_said() -> None:
    asked = witnesses(Scripted(OSError("no route to host")), Scripted([b"config-epoch", b"0"], None))
    with pytest.raises(MasterNotFoundError) as raised:
        asked.locate()
    assert str(raised.value) == (
        "nobody knows who is the master 'mymaster': sentinel-0:26379: no route to host; sentinel-1:26379: does not know"
    )
