INSERT INTO api_keys (name, role, key_sha256, created_by) VALUES (%s, %s, %s, %s) ON CONFLICT (name) DO NOTHING
