SELECT id
FROM alert_rules
WHERE match_type = %(match_type)s
  AND match_string IS NOT DISTINCT FROM %(match_string)s
  AND trap_oid IS NOT DISTINCT FROM %(trap_oid)s
  AND syslog_severity IS NOT DISTINCT FROM %(syslog_severity)s
  AND is_active
ORDER BY id
