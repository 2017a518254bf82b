SELECT event_id, received_at, event_timestamp, correlation_id, hostname, message, syslog_severity, trap_oid,
       rule_id, handling, environment, team, alert_id, forwarded, raw_event
FROM event_audit_log
WHERE event_id = %(event_id)s::text
  AND (%(received_at)s::timestamptz IS NULL OR received_at = %(received_at)s::timestamptz)
ORDER BY received_at DESC
LIMIT 1
