SELECT id, changed_at, changed_by, action, entity, entity_id, before, after
FROM config_audit_log
WHERE (%(entity)s IS NULL OR entity = %(entity)s)
  AND (%(entity_id)s IS NULL OR entity_id = %(entity_id)s)
  AND (%(before_id)s IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
