SELECT hostname, team_assignment, version, created_at, updated_at
FROM device_teams
WHERE %(hostname)s::text IS NULL OR lower(hostname) = lower(%(hostname)s::text)
ORDER BY lower(hostname)
