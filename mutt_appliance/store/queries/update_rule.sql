UPDATE alert_rules
SET match_string = %(match_string)s, trap_oid = %(trap_oid)s, syslog_severity = %(syslog_severity)s,
    match_type = %(match_type)s, priority = %(priority)s, prod_handling = %(prod_handling)s,
    dev_handling = %(dev_handling)s, team_assignment = %(team_assignment)s, is_active = %(is_active)s,
    description = %(description)s, updated_at = now(), version = version + 1
WHERE id = %(id)s
