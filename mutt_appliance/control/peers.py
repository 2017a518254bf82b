"""Who is at the other end of the control socket: unix(7), SO_PEERCRED and SO_PEERGROUPS."""

from __future__ import annotations

import errno
import os
import pwd
import socket
import struct
from dataclasses import dataclass

_CREDENTIALS = struct.Struct("3i")
_SO_PEERGROUPS = 59
# What Python's getsockopt takes at most: 256 groups.
_GROUPS_MAX_BYTES = 1024


@dataclass(frozen=True)
class Peer:
    """Process, user and groups as the kernel saw them when the connection was made."""

    pid: int
    uid: int
    gids: frozenset[int]

    @property
    def name(self) -> str:
        """The user's name, or the number where it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def peer_of(connection: socket.socket) -> Peer:
    """The peer of a connected Unix socket; raises OSError."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    try:
        groups = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_MAX_BYTES)
        more = list(struct.unpack(f"{len(groups) // 4}I", groups))
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        more = _groups_of(uid, gid)
    return Peer(pid, uid, frozenset({gid, *more}))


def _groups_of(uid: int, gid: int) -> list[int]:
    """Groups of a user who is in more of them than the socket can tell, as the system's files have them."""
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except (KeyError, OSError):
        return []


def may_control(peer: Peer, own_uid: int, own_gid: int) -> bool:
    """root, the user that runs MUTT, and the members of its group; root's own group gives nobody a right."""
    return peer.uid in (0, own_uid) or (own_gid != 0 and own_gid in peer.gids)


def allowed(peer: Peer) -> bool:
    """`may_control` for this process."""
    return may_control(peer, os.geteuid(), os.getegid())
