"""Whether what a master wrote survives its failover (pure): enough replicas have it, and none has just left.

A replica that is promoted while its master still works (SENTINEL FAILOVER, or Sentinels that cannot see the
master while we can) leaves the master at once. The master takes writes until Sentinel comes to it,
up to some seconds later, and its other replicas acknowledge them until they are turned to the new master, and
then throw them away. So when a replica leaves, nothing counts as safe until the Sentinels would have named
another master, had there been a promotion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Sentinel looks at a replica that it promotes once a second, and its fellows hear of it within two more.
DOUBT_SECS = 4.0


class ReplicaWatch:
    """Judges the answers of one master after another, as one process sees them."""

    def __init__(self, wanted: int) -> None:
        """`wanted` replicas must acknowledge."""
        self._wanted = wanted
        self._master = ""
        self._online: frozenset[str] = frozenset()
        self._doubt_until = 0.0

    def look(self, replication: Mapping[str, Any], now: float) -> None:
        """Take note of INFO replication; `now` is in seconds."""
        master, online = str(replication.get("master_replid", "")), _online(replication)
        if master != self._master:
            self._master, self._doubt_until = master, 0.0
        elif self._online - online:
            self._doubt_until = now + DOUBT_SECS
        self._online = online

    def doubt(self, now: float) -> str:
        """Why nothing that is written now is safe; empty if nothing speaks against it."""
        return "a replica left its master and may be the new one" if now < self._doubt_until else ""

    def fault(self, acknowledged: int, replication: Mapping[str, Any], now: float) -> str:
        """Why the last write is not safe; empty if it is.

        `acknowledged` answers WAIT, `replication` INFO replication right after it.
        """
        self.look(replication, now)
        if acknowledged < self._wanted:
            return f"{acknowledged} of REDIS_WAIT_REPLICAS={self._wanted} replicas have it"
        return self.doubt(now)


def _online(replication: Mapping[str, Any]) -> frozenset[str]:
    """The replicas that follow, by address."""
    replicas = (value for name, value in replication.items() if name.startswith("slave"))
    return frozenset(
        f"{each['ip']}:{each['port']}"
        for each in replicas
        if isinstance(each, Mapping) and each.get("state") == "online"
    )
