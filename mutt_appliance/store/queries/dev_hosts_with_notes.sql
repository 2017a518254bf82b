SELECT hostname, note, created_at
FROM development_hosts
WHERE %(hostname)s::text IS NULL OR lower(hostname) = lower(%(hostname)s::text)
ORDER BY lower(hostname)
