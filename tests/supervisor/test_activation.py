"""Sockets from systemd, passed as systemd passes them: descriptor 3 on, and three variables."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.supervisor.activation import Activated, take_sockets
from mutt_appliance.supervisor.sockets import listen
from tests.support.waiting import free_port

# The program becomes what LISTEN_PID names: itself, or (`parent`) the parent of the one who takes the sockets.
PROGRAM = """
import json, os, sys
frozen, whose = sys.argv[1] == "frozen", sys.argv[2]
os.environ["LISTEN_PID"] = str({"self": os.getpid(), "parent": os.getppid(), "other": 1}[whose])
from mutt_appliance.supervisor.activation import take_sockets
taken = take_sockets(os.environ, frozen=frozen)
left = [name for name in os.environ if name.startswith("LISTEN_")]
inheritable = [listener.get_inheritable() for listener in taken.by_port.values()]
print(json.dumps({"ports": list(taken.by_port), "left": left, "inheritable": inheritable}))
"""


def taken_by_a_program(given: socket.socket, kind: str, whose: str) -> dict[str, Any]:
    """What a program says that got `given` as descriptor 3."""
    result = subprocess.run(
        [
            *("bash", "-c", 'exec 3<&"$0"; exec "$@"', str(given.fileno())),
            *(sys.executable, "-c", PROGRAM, kind, whose),
        ],
        pass_fds=[given.fileno()],
        env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "mutt.socket"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    ("kind", "whose", "taken"),
    [
        ("source", "self", True),
        ("frozen", "parent", True),
        ("frozen", "self", True),
        ("source", "parent", False),
        ("frozen", "other", False),
    ],
)
def test_sockets_are_taken_when_they_are_meant_for_us_or_our_loader(
    kind: str, whose: str, taken: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = taken_by_a_program(server, kind, whose)
        port = server.getsockname()[1]
    assert answer == {"ports": [port] if taken else [], "left": [], "inheritable": [False] if taken else []}


def test_what_is_no_listening_tcp_socket_is_left_alone() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert taken_by_a_program(datagrams, "source", "self")["ports"] == []


def test_without_systemd_there_are_none() -> None:
    assert take_sockets({}, frozen=True) == Activated()
    assert take_sockets({"LISTEN_PID": "x", "LISTEN_FDS": "y"}, frozen=False) == Activated()


def test_the_setting_of_the_same_port_gets_it_and_closing_ours_ends_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = Settings(
            bind_address="127.0.0.1", server_port_ingestor=port, server_port_webui=free_port()
        )
        fields = ["server_port_ingestor", "server_port_webui"]
        for _ in range(2):
            sockets = listen(settings, fields, Activated({port: server}))
            assert sockets["server_port_ingestor"].getsockname()[1] == port
            for listener in sockets.values():
                listener.close()
        # Still there: the kernel queues for whoever accepts next.
        with socket.create_connection(("127.0.0.1", port), 5):
            server.accept()[0].close()


def test_a_port_that_fits_no_setting_is_told_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = Settings(bind_address="127.0.0.1", server_port_ingestor=free_port())
        listen(settings, ["server_port_ingestor"], Activated({port: server}))["server_port_ingestor"].close()
    said = "".join(capsys.readouterr())
    assert f"127.0.0.1:{port}" in said
    assert "SERVER_PORT_INGESTOR" in said
    assert "systemctl edit mutt.socket" in said


def test_another_address_than_bind_address_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104
        port = server.getsockname()[1]
        given = Activated({port: server})
        local = Settings(bind_address="127.0.0.1", server_port_ingestor=port)
        listen(local, ["server_port_ingestor"], given)["server_port_ingestor"].close()
        assert "BIND_ADDRESS" in "".join(capsys.readouterr())
        everywhere = Settings(bind_address="0.0.0.0", server_port_ingestor=port)  # noqa: S104
        listen(everywhere, ["server_port_ingestor"], given)["server_port_ingestor"].close()
        assert "BIND_ADDRESS" not in "".join(capsys.readouterr())
