SELECT id, match_string, trap_oid, syslog_severity, match_type, priority,
       prod_handling, dev_handling, team_assignment, description
FROM alert_rules
WHERE is_active
ORDER BY priority, id
