INSERT INTO audit_archives (month, host, file, row_count, size_bytes, sha256, first_received_at, last_received_at)
VALUES (%(month)s, %(host)s, %(file)s, %(rows)s, %(size_bytes)s, %(sha256)s, %(first_received_at)s, %(last_received_at)s)
