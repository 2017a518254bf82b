-- What the web UI and its API need beside the rules. Statements can be run again without harm.

ALTER TABLE device_teams ADD COLUMN IF NOT EXISTS version integer NOT NULL DEFAULT 1;

-- Keys beside WEBUI_API_KEY. A key has 256 random bits, so a plain digest of it cannot be searched for.
CREATE TABLE IF NOT EXISTS api_keys (
    name       text PRIMARY KEY CHECK (name <> ''),
    role       text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    key_sha256 bytea NOT NULL UNIQUE CHECK (length(key_sha256) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL
);
