"""Who may do what: roles, and the keys that stand for them. No I/O here."""

from __future__ import annotations

import hashlib
import secrets as random_source
from dataclasses import dataclass
from enum import IntEnum

KEY_BYTES = 32
KEY_PREFIX = "mutt_"
ADMINISTRATOR = "administrator"


class Role(IntEnum):
    """A higher role may do all that a lower one may.

    viewer looks; operator also changes rules, teams and hosts and deals with dead letters; admin also
    changes the configuration, the processes and the keys.
    """

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As it is written: `viewer`."""
        return self.name.lower()


@dataclass(frozen=True)
class Person:
    """Who asks: the name that the history shows, and the role."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """True if the own role is `role` or higher."""
        return self.role >= role


def new_key() -> str:
    """A named key: 256 random bits, with a prefix by which it can be found where it should not be."""
    return KEY_PREFIX + random_source.token_urlsafe(KEY_BYTES)


def key_digest(key: str) -> bytes:
    """What is stored of a named key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
