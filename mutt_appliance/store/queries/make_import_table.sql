CREATE TABLE IF NOT EXISTS {table} (LIKE event_audit_log INCLUDING ALL);
COMMENT ON TABLE {table} IS 'Rows of the audit log, imported by mutt-ctl audit import: may be dropped'
