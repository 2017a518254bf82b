SELECT id, match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling,
       team_assignment, is_active, description, version, created_at, updated_at
FROM alert_rules
WHERE %(id)s::integer IS NULL OR id = %(id)s::integer
ORDER BY priority, id
