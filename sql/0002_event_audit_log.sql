-- One row for each event that was handled. Partitions follow the time MUTT received the event: a
-- device's own clock can say 1970 or 2099. No default partition: it would block new ones once it held a row.

CREATE TABLE IF NOT EXISTS event_audit_log (
    event_id        text NOT NULL,
    correlation_id  text,
    received_at     timestamptz NOT NULL,
    event_timestamp timestamptz,
    hostname        text NOT NULL,
    message         text NOT NULL,
    syslog_severity smallint,
    trap_oid        text,
    rule_id         integer,
    handling        text NOT NULL,
    environment     text NOT NULL CHECK (environment IN ('prod', 'dev')),
    team            text,
    alert_id        text,
    forwarded       boolean NOT NULL,
    raw_event       jsonb NOT NULL,
    -- received_at is fixed when the event comes in, so the same event written twice is the same row.
    PRIMARY KEY (received_at, event_id)
) PARTITION BY RANGE (received_at);

CREATE INDEX IF NOT EXISTS event_audit_log_hostname ON event_audit_log (hostname, received_at DESC);
CREATE INDEX IF NOT EXISTS event_audit_log_rule ON event_audit_log (rule_id, received_at DESC);

-- Makes the partition of the UTC month that `month` lies in and returns its name; does nothing if it
-- is there. ATTACH, unlike CREATE TABLE ... PARTITION OF, lets others go on writing meanwhile.
CREATE OR REPLACE FUNCTION create_monthly_partition(month date) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    first_day      date := date_trunc('month', month::timestamp)::date;
    partition_name text := 'event_audit_log_' || to_char(first_day, 'YYYY_MM');
BEGIN
    IF EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'event_audit_log'::regclass AND c.relname = partition_name) THEN
        RETURN partition_name;
    END IF;
    -- Another session may have made it while we waited for the lock. to_regclass() would not see it: it
    -- answers from this session's cache.
    PERFORM pg_advisory_xact_lock(1297437780, 2);
    IF EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'event_audit_log'::regclass AND c.relname = partition_name) THEN
        RETURN partition_name;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE event_audit_log INCLUDING ALL)', partition_name);
    EXECUTE format(
        'ALTER TABLE event_audit_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        partition_name,
        first_day::timestamp AT TIME ZONE 'UTC',
        (first_day + interval '1 month') AT TIME ZONE 'UTC'
    );
    RETURN partition_name;
END
$$;

-- Drops the monthly partitions whose month ended (UTC) at or before the start of `day`; returns their names.
-- The short lock timeout keeps writers from queueing up behind a long query: the caller tries again later.
CREATE OR REPLACE FUNCTION drop_partitions_before(day date) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    partition_name text;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    PERFORM pg_advisory_xact_lock(1297437780, 2);
    FOR partition_name IN
        SELECT c.relname
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'event_audit_log'::regclass
          AND c.relname ~ '^event_audit_log_[0-9]{4}_[0-9]{2}$'
          AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= day
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', partition_name);
        RETURN NEXT partition_name;
    END LOOP;
END
$$;
