SELECT event_id, received_at, rule_id, handling, environment, team, alert_id, forwarded
FROM event_audit_log
WHERE received_at BETWEEN %(since)s AND %(until)s AND event_id = ANY(%(event_ids)s)
