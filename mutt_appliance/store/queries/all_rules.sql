SELECT id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling,
       team_assignment, is_active, description
FROM alert_rules
ORDER BY priority, id
