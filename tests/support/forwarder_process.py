"""A forwarder in a process of its own, started as the supervisor starts it, to be killed and signalled."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from mutt_appliance.config import Settings
from mutt_appliance.process import ChildSpec
from mutt_appliance.supervisor.bootstrap import run_child
from tests.support.children import TEST_SECRETS

END_SECS = 15.0


@contextmanager
def forwarder_process(settings: Settings, index: int = 0) -> Iterator[BaseProcess]:
    """Start it; it is killed at the end if it still runs."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sockets = {
        "metrics": socket.create_server(("127.0.0.1", settings.metrics_port_moog), reuse_port=True),
        "health": socket.create_server(("127.0.0.1", settings.health_port_moog), reuse_port=True),
    }
    spec = ChildSpec(
        role="forwarder",
        index=index,
        settings=settings,
        secrets=TEST_SECRETS,
        run_id="test-run",
        worker_name=f"forwarder-test-{index}",
        channel=theirs,
        sockets=sockets,
        parent_pid=os.getpid(),
    )
    process = multiprocessing.get_context("spawn").Process(
        target=run_child, args=(spec, "mutt_appliance.forwarder.service")
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join(END_SECS)
        process.close()
        for each in (ours, theirs, *sockets.values()):
            each.close()
