"""Embedded mode: the members that are our own Redis and PostgreSQL."""

from __future__ import annotations

import dataclasses
import selectors

from mutt_appliance.config import Settings
from mutt_appliance.supervisor.folders import check_reachable
from mutt_appliance.supervisor.log_file import log_of
from mutt_appliance.supervisor.postgres_server import postgres_programs
from mutt_appliance.supervisor.programs import run_as
from mutt_appliance.supervisor.redis_server import redis_program
from mutt_appliance.supervisor.servers import ProgramMember
from mutt_appliance.supervisor.states import Policy

LEVEL_PREPARE = 5
LEVEL_STORES = 10
# A checkpoint on a slow disk, or a cluster made there, takes its time; a kill in between costs more.
STOP_MIN_SECS = 30.0
PREPARE_MIN_SECS = 600.0


def embedded_members(settings: Settings, selector: selectors.BaseSelector) -> list[ProgramMember]:
    """The servers of embedded mode; finds programs, makes folders. Raises ProgramError."""
    user = run_as(settings.embedded_user)
    if user.uid is not None:
        check_reachable(settings.mutt_data_dir, "MUTT_DATA_DIR", user)
        check_reachable(settings.mutt_runtime_dir, "MUTT_RUNTIME_DIR", user)
    policy = Policy.of(settings)
    policy = dataclasses.replace(policy, drain_timeout=max(policy.drain_timeout, STOP_MIN_SECS))
    once = dataclasses.replace(
        policy, one_shot=True, start_timeout=max(policy.start_timeout, PREPARE_MIN_SECS)
    )
    redis = redis_program(settings, user)
    initdb, postgres = postgres_programs(settings, user)
    table = [("redis:0", LEVEL_STORES, policy, redis), ("postgres:0", LEVEL_STORES, policy, postgres)]
    if initdb is not None:
        table.insert(1, ("initdb:0", LEVEL_PREPARE, once, initdb))
    return [
        ProgramMember(name, level, its_policy, selector, log_of(settings.mutt_runtime_dir, name), program)
        for name, level, its_policy, program in table
    ]
