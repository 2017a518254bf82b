"""The pools of the appliance: which module, how many, which sockets, in which order."""

from __future__ import annotations

import math
import secrets as random_source
from collections.abc import Mapping
from dataclasses import dataclass, field

from mutt_appliance.config import Settings

LEVEL_SCHEMA = 20
LEVEL_WORKERS = 30
LEVEL_INTAKE = 40
# How long the next level waits for one that neither serves nor fails: events are accepted into Redis
# while PostgreSQL is away.
SCHEMA_PATIENCE_SECS = 5.0
WORKERS_PATIENCE_SECS = 5.0


@dataclass(frozen=True)
class Pool:
    """Processes of one role. `sockets` names the setting that holds each purpose's port.

    `confirms_reload`: its processes report what a reload gave.
    `worker_prefix` begins the worker name where POD_NAME is not set. Higher levels start later
    and stop earlier.
    """

    role: str
    module: str
    count: int
    level: int
    sockets: Mapping[str, str] = field(default_factory=dict)
    worker_prefix: str = ""
    one_shot: bool = False
    patience_secs: float = math.inf
    confirms_reload: bool = False

    def worker_name(self, pod_name: str | None, run_id: str, index: int) -> str:
        """`alerter-5f3a…-0`, or `<POD_NAME>-0`: unique among all appliances on one Redis."""
        return f"{pod_name or f'{self.worker_prefix or self.role}-{run_id}'}-{index}"


def pools(settings: Settings) -> list[Pool]:
    """The pools that the settings ask for, in order of start."""
    every = [
        Pool(
            "migrator",
            "mutt_appliance.store.service",
            1,
            LEVEL_SCHEMA,
            one_shot=True,
            patience_secs=SCHEMA_PATIENCE_SECS,
        ),
        Pool(
            "webui",
            "mutt_appliance.webui.service",
            1,
            LEVEL_WORKERS,
            {"http": "server_port_webui"},
            patience_secs=WORKERS_PATIENCE_SECS,
            confirms_reload=settings.webui_tls_cert_path is not None,
        ),
        Pool(
            "alerter",
            "mutt_appliance.alerter.service",
            settings.alerter_workers,
            LEVEL_WORKERS,
            {"metrics": "metrics_port_alerter", "health": "health_port_alerter"},
            patience_secs=WORKERS_PATIENCE_SECS,
            confirms_reload=True,
        ),
        Pool(
            "forwarder",
            "mutt_appliance.forwarder.service",
            settings.forwarder_workers,
            LEVEL_WORKERS,
            {"metrics": "metrics_port_moog", "health": "health_port_moog"},
            worker_prefix="moog-forwarder",
            patience_secs=WORKERS_PATIENCE_SECS,
            confirms_reload=(settings.moog_webhook_url or "").startswith("https:"),
        ),
        Pool(
            "ingestor",
            "mutt_appliance.ingestor.service",
            settings.ingestor_workers,
            LEVEL_INTAKE,
            {"http": "server_port_ingestor"},
            confirms_reload=settings.ingest_tls_cert_path is not None,
        ),
    ]
    return [pool for pool in every if pool.count > 0]


def new_run_id() -> str:
    """Random name of one run of the supervisor."""
    return random_source.token_hex(4)
