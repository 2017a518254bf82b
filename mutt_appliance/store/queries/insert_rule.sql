INSERT INTO alert_rules (
    match_string, trap_oid, syslog_severity, match_type, priority, prod_handling, dev_handling,
    team_assignment, is_active, description
)
VALUES (
    %(match_string)s, %(trap_oid)s, %(syslog_severity)s, %(match_type)s, %(priority)s, %(prod_handling)s,
    %(dev_handling)s, %(team_assignment)s, %(is_active)s, %(description)s
)
RETURNING id
