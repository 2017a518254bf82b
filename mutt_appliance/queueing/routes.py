"""How the connections of one client come to the master, and how they leave one that is none any more.

A frozen or cut off master says nothing, and a connection that waits for it would wait for its timeout. So the
master is located once a second while there are connections, and those to another server are cut.
"""

from __future__ import annotations

import ssl
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from redis.exceptions import RedisError

from mutt_appliance.config.addresses import Address
from mutt_appliance.queueing.locating import Locator
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import secrets_in_use

log = get_logger("queueing.routes")
CHECK_SECS = 1.0
Which = Literal["current", "next"]


class Traveller(Protocol):
    """A connection on a route."""

    peer: Address | None

    def cut(self) -> None:
        """End it from any thread: whoever waits for an answer gets a connection error at once."""


@dataclass(frozen=True)
class Password:
    """A value to try; `which` of the two it is."""

    which: Which
    value: str


class Passwords:
    """The current and the next password, the one that worked last first; `name` is that of the secret."""

    def __init__(self, name: str, read: Callable[[], tuple[str, str]]) -> None:
        """`read` gives both values of now; an empty one is not set."""
        self._name = name
        self._read = read
        self._worked: Which = "current"

    def to_try(self) -> list[Password]:
        """In this order; never empty: without any password none is given."""
        current, following = self._read()
        both = [Password("current", current), Password("next", following)]
        given = [each for each in both if each.value] or both[:1]
        return sorted(given, key=lambda each: each.which != self._worked)

    def worked(self, password: Password) -> None:
        """The server took it."""
        self._worked = password.which
        if password.value:
            secrets_in_use().tell(self._name, password.which)


class Route:
    """Where one client's connections go and what they show there; safe to use from any thread."""

    def __init__(
        self, locator: Locator, passwords: Passwords, tls: Callable[[], ssl.SSLContext | None]
    ) -> None:
        """`tls` reads the certificates anew for each connection; None is without TLS."""
        self.locator = locator
        self.passwords = passwords
        self.tls = tls
        self._travellers: weakref.WeakSet[Traveller] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._watched = locator.fixed

    def joined(self, traveller: Traveller) -> None:
        """A connection was made to its `peer`."""
        with self._lock:
            self._travellers.add(traveller)
            watched, self._watched = self._watched, True
        if not watched:
            threading.Thread(
                target=_keep_watch, args=(weakref.ref(self),), name="redis-master", daemon=True
            ).start()

    def leave(self, peer: Address | None) -> None:
        """Cut all connections to a server that said it is not the right one."""
        self._cut(lambda traveller: traveller.peer == peer)

    def check(self) -> None:
        """Cut the connections to any server that is not the master."""
        with self._lock:
            travelling = any(traveller.peer is not None for traveller in self._travellers)
        if not travelling:
            return
        try:
            master = self.locator.locate()
        except RedisError as error:
            # Who uses a connection meets the same trouble when it fails, and reports it.
            log.debug("the master is not known", error=str(error))
            return
        left = self._cut(lambda traveller: traveller.peer != master)
        if left:
            log.warning("redis has another master", master=str(master), connections_left=left)

    def _cut(self, which: Callable[[Traveller], bool]) -> int:
        with self._lock:
            chosen = [each for each in self._travellers if each.peer is not None and which(each)]
        for traveller in chosen:
            traveller.cut()
        return len(chosen)


def _keep_watch(reference: weakref.ref[Route]) -> None:
    """For as long as somebody has the route."""
    while True:
        time.sleep(CHECK_SECS)
        route = reference()
        if route is None:
            return
        route.check()
        del route
