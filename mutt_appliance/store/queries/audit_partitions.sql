-- Every part of the audit log, attached or on its way out; reltuples is -1 or 0 where nobody has counted yet.
SELECT c.relname::text, i.inhrelid IS NOT NULL, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
FROM pg_class AS c
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = 'event_audit_log'::regclass
WHERE c.relkind = 'r'
  AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'event_audit_log'::regclass)
  AND (i.inhrelid IS NOT NULL OR c.relname ~ '^event_audit_log_[0-9]{4}_[0-9]{2}_detached$')
ORDER BY c.relname
