-- Over a span of time: the message has no index for parts of it, so the span bounds the work.
SELECT event_id, received_at, event_timestamp, correlation_id, hostname, message, syslog_severity, trap_oid,
       rule_id, handling, environment, team, alert_id, forwarded
FROM event_audit_log
WHERE received_at >= %(since)s::timestamptz
  AND received_at < %(until)s::timestamptz
  AND (%(hostname)s::text IS NULL OR hostname = %(hostname)s::text)
  AND (strpos(lower(message), lower(%(text)s::text)) > 0 OR event_id = %(text)s::text
       OR correlation_id = %(text)s::text OR alert_id = %(text)s::text)
  AND (%(before_at)s::timestamptz IS NULL
       OR (received_at, event_id) < (%(before_at)s::timestamptz, %(before_id)s::text))
ORDER BY received_at DESC, event_id DESC
LIMIT %(limit)s
