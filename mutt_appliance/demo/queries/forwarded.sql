SELECT DISTINCT alert_id
FROM event_audit_log
WHERE forwarded AND (event_id LIKE %(own)s OR event_id LIKE %(meta)s)
