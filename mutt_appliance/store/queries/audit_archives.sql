SELECT month, host, file, row_count, size_bytes, sha256, first_received_at, last_received_at, dropped_at
FROM audit_archives
ORDER BY month, id
