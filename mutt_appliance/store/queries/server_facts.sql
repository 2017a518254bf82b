SELECT current_setting('server_version_num')::int,
       pg_is_in_recovery(),
       extract(epoch FROM clock_timestamp())::float8,
       to_regclass('_yoyo_migration') IS NOT NULL,
       to_regclass('event_audit_log') IS NOT NULL,
       current_setting('synchronous_standby_names')
