SELECT extract(epoch FROM max(dropped_at))::float8 FROM audit_archives
