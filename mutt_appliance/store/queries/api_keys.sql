SELECT name, role, key_sha256, created_at, created_by FROM api_keys ORDER BY name
