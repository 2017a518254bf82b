"""A worker's lease on its name, as arguments of the scripts.

A worker that sleeps past its lease has lost it for good: the janitor may have given its items away.
Every claim and settle proves the lease, and a worker without one registers anew.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from mutt_appliance.queueing.keys import WorkQueue


class LeaseLostError(Exception):
    """The worker was silent for too long; what it held was or will be given to others."""


class NameTakenError(Exception):
    """Another appliance's live worker has the same name."""

    def __init__(self, worker: str) -> None:
        super().__init__(
            f"worker name {worker} is in use by another appliance: give each its own POD_NAME, or unset it"
        )


@dataclass
class Lease:
    """Who a worker is: its name, the run of the appliance it belongs to, and its token of now."""

    queue: WorkQueue
    worker: str
    run_id: str
    ttl_ms: int
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.renew_token()

    def renew_token(self) -> None:
        """A new incarnation; whatever still carries the old token is refused from here on."""
        self.token = f"{self.run_id}:{uuid.uuid4().hex}"

    @property
    def processing(self) -> str:
        """Key of the worker's list."""
        return self.queue.processing(self.worker)

    @property
    def heartbeat(self) -> str:
        """Key of the worker's lease."""
        return self.queue.heartbeat(self.worker)

    def register_call(self) -> tuple[list[str], list[str | int]]:
        """Keys and arguments of register.lua."""
        keys = [self.processing, self.heartbeat, self.queue.source, self.queue.workers, self.queue.suspects]
        return keys, [self.token, self.run_id, self.ttl_ms, self.worker]

    def unregister_call(self) -> tuple[list[str], list[str | int]]:
        """Keys and arguments of unregister.lua."""
        return [self.processing, self.heartbeat, self.queue.source, self.queue.workers], [
            self.token,
            self.worker,
        ]

    def renew_call(self) -> tuple[list[str], list[str | int]]:
        """Keys and arguments of renew.lua."""
        return [self.heartbeat], [self.token, self.ttl_ms]


def recover_call(queue: WorkQueue, worker: str, ttl_ms: int) -> tuple[list[str], list[str | int]]:
    """Keys and arguments of recover.lua for the list of `worker`; `ttl_ms` is the usual length of a lease."""
    keys = [queue.processing(worker), queue.heartbeat(worker), queue.source, queue.workers, queue.suspects]
    return keys, [worker, ttl_ms]
