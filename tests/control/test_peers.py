"""Who may control the appliance."""

from __future__ import annotations

import os
import socket

import pytest

from mutt_appliance.control.peers import Peer, may_control, peer_of

MUTT_UID, MUTT_GID = 990, 980


@pytest.mark.parametrize(
    ("peer", "may"),
    [
        (Peer(1, 0, frozenset({0})), True),
        (Peer(1, MUTT_UID, frozenset({MUTT_GID})), True),
        (Peer(1, 1000, frozenset({1000, MUTT_GID})), True),
        (Peer(1, 1000, frozenset({1000})), False),
    ],
)
def test_root_the_user_and_its_group_may(peer: Peer, may: bool) -> None:
    assert may_control(peer, MUTT_UID, MUTT_GID) is may


def test_the_group_of_root_gives_nobody_a_right() -> None:
    assert not may_control(Peer(1, 1000, frozenset({0})), 0, 0)


def test_the_kernel_says_who_is_there() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid) == (os.getpid(), os.getuid())
    assert peer.gids == frozenset({os.getgid(), *os.getgroups()})
