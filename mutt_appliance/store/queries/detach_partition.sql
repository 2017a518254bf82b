-- The lock is that of create_monthly_partition (sql/0002). The new name leaves the old one to a new partition of
-- the same month, which an event that comes very late makes.
SELECT pg_advisory_xact_lock(1297437780, 2);
ALTER TABLE event_audit_log DETACH PARTITION {partition};
ALTER TABLE {partition} RENAME TO {detached}
