"""The operations below /api/v1, a module for each thing they are about."""

from mutt_appliance.webui.api import activity, audit_logs, dev_hosts, keys, metrics, processes, rules, teams

OPERATIONS = (
    *metrics.OPERATIONS,
    *activity.OPERATIONS,
    *rules.OPERATIONS,
    *dev_hosts.OPERATIONS,
    *teams.OPERATIONS,
    *keys.OPERATIONS,
    *audit_logs.OPERATIONS,
    *processes.OPERATIONS,
)
