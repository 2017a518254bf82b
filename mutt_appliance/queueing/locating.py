"""Who the master is, by the word of Sentinels or of the nodes of a Redis Cluster.

All of them are asked, because right after a failover only some know of it, and one that was cut off may still
tell of the old master: the word with the newest epoch counts.
"""

from __future__ import annotations

import binascii
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from mutt_appliance.config.addresses import Address
from mutt_appliance.queueing.scripts import text

SLOTS = 16384
# One that did not answer is left alone for so long, as long as another answers.
SILENT_REST_SECS = 5.0


class MasterNotFoundError(RedisConnectionError):
    """Nobody could say who the master is, or who was named is none; a later try may find it."""


@dataclass(frozen=True)
class Word:
    """What one witness says; a larger `epoch` is newer knowledge."""

    epoch: int
    master: Address


@dataclass(frozen=True)
class Heard:
    """What came of asking one witness; without a word `trouble` says why."""

    witness: Address
    word: Word | None
    trouble: str


class Connection(Protocol):
    """What is needed of a connection to a witness (redis.Connection)."""

    def send_command(self, *args: Any) -> Any:
        """Send a command."""

    def read_response(self) -> Any:
        """Read the answer to it."""

    def disconnect(self) -> Any:
        """Close the connection."""


class Locator(Protocol):
    """Says where the master is; `fixed` is true for one that always says the same."""

    @property
    def fixed(self) -> bool:
        """True for the one place."""

    def locate(self) -> Address:
        """The master's address of now. Raises MasterNotFoundError."""


@dataclass(frozen=True)
class Fixed:
    """A Redis that is always in one place."""

    address: Address
    fixed: bool = True

    def locate(self) -> Address:
        """The one place."""
        return self.address


@dataclass(frozen=True)
class Question:
    """What is asked of each witness, and how the answers are read; `about` completes "who is …"."""

    about: str
    commands: tuple[tuple[str, ...], ...]
    read: Callable[[Sequence[Any], Address], Word | None]


class Witnesses:
    """Asks all witnesses over connections that stay open; safe to use from any thread."""

    fixed = False

    def __init__(
        self, addresses: Sequence[Address], question: Question, connect: Callable[[Address], Connection]
    ) -> None:
        self._question = question
        self._witnesses = [_Witness(address, connect(address)) for address in addresses]
        self._asking = threading.Lock()

    def locate(self) -> Address:
        """The master by the newest word. Raises MasterNotFoundError, in words of what each witness said."""
        with self._asking:
            now = time.monotonic()
            awake = [each for each in self._witnesses if now >= each.silent_until]
            words = self._ask(awake)
            if not words:
                words = self._ask([each for each in self._witnesses if each not in awake])
        if not words:
            said = "; ".join(f"{each.address}: {each.trouble}" for each in self._witnesses)
            raise MasterNotFoundError(f"nobody knows who is {self._question.about}: {said}")
        return newest(words)

    def hear(self) -> list[Heard]:
        """What each witness says now, rested or not."""
        with self._asking:
            return [Heard(each.address, each.ask(self._question), each.trouble) for each in self._witnesses]

    def _ask(self, witnesses: Iterable[_Witness]) -> list[Word]:
        words = (witness.ask(self._question) for witness in witnesses)
        return [word for word in words if word is not None]


class _Witness:
    def __init__(self, address: Address, connection: Connection) -> None:
        self.address = address
        self.silent_until = 0.0
        self.trouble = "was not asked"
        self._connection = connection

    def ask(self, question: Question) -> Word | None:
        """Its word, or None, and then `trouble` says why."""
        answers: list[Any] = []
        try:
            for command in question.commands:
                self._connection.send_command(*command)
            for _ in question.commands:
                answers.append(self._connection.read_response())
            word = question.read(answers, self.address)
        except (RedisError, OSError, ValueError, TypeError, LookupError) as error:
            # An answer may be still to come, and would be taken for the next one.
            self._connection.disconnect()
            self.silent_until = time.monotonic() + SILENT_REST_SECS
            self.trouble = str(error) or type(error).__name__
            return None
        self.silent_until = 0.0
        self.trouble = "does not know"
        return word


def newest(words: Sequence[Word]) -> Address:
    """The master that the newest word names; if there are several of them, the one named most."""
    epoch = max(word.epoch for word in words)
    return Counter(word.master for word in words if word.epoch == epoch).most_common(1)[0][0]


def sentinel_question(master: str) -> Question:
    """Ask Sentinels for the master they call `master`.

    During a failover get-master-addr-by-name names the new master as soon as it is one, with the new
    epoch; the entry itself follows only when the replicas were turned to it.
    """

    def read(answers: Sequence[Any], _: Address) -> Word | None:
        entry, where = answers
        if where is None:
            return None
        fields = dict(zip(map(text, entry[::2]), map(text, entry[1::2]), strict=False))
        return Word(int(fields["config-epoch"]), Address(text(where[0]), int(where[1])))

    return Question(
        f"the master {master!r}",
        (("SENTINEL", "MASTER", master), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)),
        read,
    )


def cluster_question(tag: str) -> Question:
    """Ask nodes of a Redis Cluster for the master of the slot that keys with the hash tag `tag` are in."""
    slot = slot_of(tag)

    def read(answers: Sequence[Any], asked: Address) -> Word | None:
        ranges, nodes = answers
        for first, last, owner, *_ in ranges:
            if first <= slot <= last:
                host, port, identity = owner[0], int(owner[1]), text(owner[2])
                return Word(_epochs(text(nodes))[identity], Address(_host(host, asked), port))
        return None

    return Question(f"master of slot {slot}, {{{tag}}}", (("CLUSTER", "SLOTS"), ("CLUSTER", "NODES")), read)


def slot_of(tag: str) -> int:
    """Hash slot of keys with a hash tag (CRC16/XMODEM of the tag, Redis cluster specification)."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


def _host(named: bytes | None, asked: Address) -> str:
    """Redis 7 names no host for one that it has not learnt yet: it is the one that was asked."""
    if named == b"?":
        raise ValueError("the node prefers host names and announces none (cluster-announce-hostname)")
    return text(named) if named else asked.host


def _epochs(nodes: str) -> dict[str, int]:
    """Configuration epoch of each node in an answer to CLUSTER NODES."""
    lines = (line.split() for line in nodes.splitlines())
    return {fields[0]: int(fields[6]) for fields in lines if len(fields) > 6}
