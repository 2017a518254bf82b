-- Rows and events of a demonstration, and the meta-events made of them.
SELECT count(*) FILTER (WHERE event_id LIKE %(own)s),
       count(DISTINCT event_id) FILTER (WHERE event_id LIKE %(own)s),
       count(DISTINCT event_id) FILTER (WHERE event_id LIKE %(meta)s)
FROM event_audit_log
WHERE event_id LIKE %(own)s OR event_id LIKE %(meta)s
