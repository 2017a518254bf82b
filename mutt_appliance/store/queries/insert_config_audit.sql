INSERT INTO config_audit_log (changed_by, action, entity, entity_id, before, after)
VALUES (%s, %s, %s, %s, %s::jsonb, %s::jsonb)
