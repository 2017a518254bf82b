"""Calls and their answers, without a socket."""

from __future__ import annotations

import xmlrpc.client
from typing import Any, cast
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from mutt_appliance.control.calls import Calls
from mutt_appliance.control.faults import Code
from mutt_appliance.control.interface import SupervisorInterface
from mutt_appliance.control.peers import Peer

PEER = Peer(pid=1, uid=0, gids=frozenset())


def test_a_fault_of_our_own_is_told_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: SupervisorInterface) -> Any:
        raise FileNotFoundError("/a/path")

    monkeypatch.setattr(SupervisorInterface, "pid", broken)
    body = xmlrpc.client.dumps((), "supervisor.getPID").encode()
    with capture_logs() as logged:
        answer = Calls(cast(Any, Mock())).answer(PEER, body)
    with pytest.raises(
        xmlrpc.client.Fault, match=r"FAILED: supervisor\.getPID: FileNotFoundError;"
    ) as caught:
        xmlrpc.client.loads(answer)
    assert caught.value.faultCode == Code.FAILED
    assert [(line["event"], line["method"]) for line in logged] == [
        ("control call failed", "supervisor.getPID")
    ]
