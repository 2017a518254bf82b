"""Listening sockets."""

from __future__ import annotations

import socket

import pytest

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.supervisor.sockets import listen
from tests.support.waiting import free_port

FIELDS = ["server_port_ingestor", "server_port_webui"]


def test_every_taken_port_is_named_at_once_and_none_stays_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        free = free_port()
        settings = Settings(
            bind_address="127.0.0.1",
            server_port_ingestor=ports[0],
            server_port_webui=ports[1],
            metrics_port_alerter=free,
        )
        with pytest.raises(ConfigError) as caught:
            listen(settings, ["metrics_port_alerter", *FIELDS])
    assert [fault.variable for fault in caught.value.faults] == ["SERVER_PORT_INGESTOR", "SERVER_PORT_WEBUI"]
    socket.create_server(("127.0.0.1", free)).close()


def test_an_address_that_is_not_ours_is_named_once() -> None:
    settings = Settings(
        bind_address="192.0.2.1", server_port_ingestor=free_port(), server_port_webui=free_port()
    )
    with pytest.raises(ConfigError, match=r"BIND_ADDRESS=192\.0\.2\.1: cannot be listened on") as caught:
        listen(settings, FIELDS)
    assert len(caught.value.faults) == 1


def test_a_port_of_a_connection_just_closed_is_bound_again_at_once() -> None:
    settings = Settings(bind_address="127.0.0.1", server_port_ingestor=free_port())
    listener = listen(settings, FIELDS[:1])[FIELDS[0]]
    with socket.create_connection(listener.getsockname()):
        # Closed on our side first: this end stays in TIME_WAIT.
        listener.accept()[0].close()
    listener.close()
    listen(settings, FIELDS[:1])[FIELDS[0]].close()
