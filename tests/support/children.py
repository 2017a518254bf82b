"""A role's `Child` without a supervisor, for tests that call its parts in this process."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from mutt_appliance.config import Settings
from mutt_appliance.process import Child, ChildSpec
from mutt_appliance.secrets import Secrets

SOCKETS_OF_ROLE: dict[str, dict[str, str]] = {
    "ingestor": {"http": "server_port_ingestor"},
    "alerter": {"metrics": "metrics_port_alerter", "health": "health_port_alerter"},
    "forwarder": {"metrics": "metrics_port_moog", "health": "health_port_moog"},
    "webui": {"http": "server_port_webui"},
}
TEST_SECRETS = Secrets(
    ingest_api_key="test-ingest-key", moog_api_key="test-moog-key", webui_api_key="test-webui-key"
)


class ChildFactory:
    """Makes children with listening sockets as the supervisor would; `close` takes all of it back."""

    def __init__(self) -> None:
        self._channels: dict[Child, socket.socket] = {}
        self._open: list[socket.socket] = []

    def __call__(
        self, role: str, settings: Settings, secrets: Secrets = TEST_SECRETS, *, index: int = 0
    ) -> Child:
        """A child of `role`; its sockets listen on the ports that `settings` name."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        sockets = {}
        for purpose, field in SOCKETS_OF_ROLE.get(role, {}).items():
            listener = socket.create_server(("127.0.0.1", getattr(settings, field)), reuse_port=True)
            sockets[purpose] = listener
        spec = ChildSpec(
            role=role,
            index=index,
            settings=settings,
            secrets=secrets,
            run_id="test-run",
            worker_name=f"{role}-test-{index}",
            channel=theirs,
            sockets=sockets,
            parent_pid=os.getppid(),
        )
        child = Child(spec)
        self._channels[child] = ours
        self._open += [ours, theirs, *sockets.values()]
        return child

    def reports(self, child: Child) -> list[dict[str, Any]]:
        """Messages the child sent since the last call, oldest first: {"kind": "ready", …}."""
        messages: list[dict[str, Any]] = []
        while True:
            try:
                packet = self._channels[child].recv(65536)
            except BlockingIOError:
                return messages
            if not packet:
                return messages
            messages.append(json.loads(packet))

    def close(self) -> None:
        """Close every socket made here."""
        for each in self._open:
            each.close()
