INSERT INTO event_audit_log (
    event_id, correlation_id, received_at, event_timestamp, hostname, message, syslog_severity, trap_oid,
    rule_id, handling, environment, team, alert_id, forwarded, raw_event
)
SELECT *
FROM unnest(
    %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::smallint[], %s::text[],
    %s::integer[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[], %s::jsonb[]
)
ON CONFLICT DO NOTHING
