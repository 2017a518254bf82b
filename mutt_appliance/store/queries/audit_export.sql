SELECT {what}
FROM event_audit_log AS e
WHERE (%(hostname)s::text IS NULL OR hostname = %(hostname)s::text)
  AND (%(rule_id)s::integer IS NULL OR rule_id = %(rule_id)s::integer)
  AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR received_at < %(until)s::timestamptz)
ORDER BY received_at, event_id
