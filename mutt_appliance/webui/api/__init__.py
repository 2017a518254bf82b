"""The operations below /api/v1, a module for each thing they are about."""

from mutt_appliance.webui.api import (
    activity,
    audit_logs,
    config,
    dev_hosts,
    history,
    keys,
    metrics,
    processes,
    rules,
    teams,
)

OPERATIONS = (
    *metrics.OPERATIONS,
    *activity.OPERATIONS,
    *rules.OPERATIONS,
    *dev_hosts.OPERATIONS,
    *teams.OPERATIONS,
    *keys.OPERATIONS,
    *audit_logs.OPERATIONS,
    *config.OPERATIONS,
    *history.OPERATIONS,
    *processes.OPERATIONS,
)
