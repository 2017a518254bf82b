-- The values come as literals, so what is not asked for is folded away before a plan is made.
SELECT event_id, received_at, event_timestamp, correlation_id, hostname, message, syslog_severity, trap_oid,
       rule_id, handling, environment, team, alert_id, forwarded
FROM event_audit_log
WHERE (%(hostname)s::text IS NULL OR hostname = %(hostname)s::text)
  AND (%(rule_id)s::integer IS NULL OR rule_id = %(rule_id)s::integer)
  AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR received_at < %(until)s::timestamptz)
  AND (%(handling)s::text IS NULL OR handling = %(handling)s::text)
  AND (%(environment)s::text IS NULL OR environment = %(environment)s::text)
  AND (%(team)s::text IS NULL OR team = %(team)s::text)
  AND (%(before_at)s::timestamptz IS NULL
       OR (received_at, event_id) < (%(before_at)s::timestamptz, %(before_id)s::text))
ORDER BY received_at DESC, event_id DESC
LIMIT %(limit)s OFFSET %(offset)s
