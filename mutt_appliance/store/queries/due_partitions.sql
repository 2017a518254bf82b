-- Months that ended (UTC) at or before the start of a day; first those that a former attempt has detached.
SELECT name, oid, attached, month
FROM (
    SELECT c.relname::text AS name, c.oid, i.inhrelid IS NOT NULL AS attached,
           CASE WHEN c.relname ~ '^event_audit_log_[0-9]{4}_(0[1-9]|1[0-2])(_detached)?$'
                THEN to_date(substr(c.relname::text, 17, 7), 'YYYY_MM') END AS month
    FROM pg_class AS c
    LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = 'event_audit_log'::regclass
    WHERE c.relkind = 'r'
      AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'event_audit_log'::regclass)
) AS months
WHERE month + interval '1 month' <= %(day)s
  AND attached = (name NOT LIKE '%%\_detached')
ORDER BY attached, name
