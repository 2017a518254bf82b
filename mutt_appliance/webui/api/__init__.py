"""The operations below /api/v1, a module for each thing they are about."""

from mutt_appliance.webui.api import (
    activity,
    audit_logs,
    audit_rows,
    config,
    dev_hosts,
    dlq,
    history,
    host_lists,
    keys,
    metrics,
    processes,
    rules,
    rules_files,
    rules_test,
    slo,
    teams,
)

# Where two addresses fit, the first one is taken: /rules/hits before /rules/{id}.
OPERATIONS = (
    *metrics.OPERATIONS,
    *slo.OPERATIONS,
    *activity.OPERATIONS,
    *rules_test.OPERATIONS,
    *rules_files.OPERATIONS,
    *rules.OPERATIONS,
    *host_lists.OPERATIONS,
    *dev_hosts.OPERATIONS,
    *teams.OPERATIONS,
    *keys.OPERATIONS,
    *audit_logs.OPERATIONS,
    *audit_rows.OPERATIONS,
    *config.OPERATIONS,
    *history.OPERATIONS,
    *dlq.OPERATIONS,
    *processes.OPERATIONS,
)
