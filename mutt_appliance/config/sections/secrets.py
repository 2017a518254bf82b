"""Settings of the section Secrets."""

from __future__ import annotations

from pathlib import Path

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("secrets")


class SecretsSettings(Section):
    """Where the secrets come from: a file, or Vault."""

    mutt_secrets_file: Path = setting(
        Path("/etc/mutt/secrets/mutt.secrets"),
        "KEY=value lines with INGEST_API_KEY, MOOG_API_KEY, WEBUI_API_KEY, REDIS_PASS, DB_PASS; mode 0600; "
        "missing API keys are made there at first start",
    )
    vault_addr: str | None = setting(
        None,
        "Vault server URL; unset: secrets come from systemd credentials if there are any, else from "
        "MUTT_SECRETS_FILE",
        pattern=r"^https?://\S+$",
    )
    vault_namespace: str | None = setting(None, "Vault namespace (Enterprise, HCP)", min_length=1)
    vault_ca_cert_path: Path | None = setting(
        None, "CA certificate that Vault's is checked with (unset: those that this machine trusts)"
    )
    vault_timeout: float = setting(5, "Time one answer of Vault may take (seconds)", "seconds", gt=0, le=60)
    vault_approle_mount: str = setting(
        "approle",
        "Where AppRole authentication is mounted in Vault",
        pattern=r"^[^/\s]+(/[^/\s]+)*$",
    )
    vault_role_id: str | None = setting(None, "AppRole role ID; required with VAULT_ADDR")
    vault_secret_id_file: Path = setting(Path("/etc/mutt/secrets/vault_secret_id"), "Path to secret ID file")
    vault_secret_id_wrapped: bool = setting(
        False,
        "VAULT_SECRET_ID_FILE holds a response-wrapping token, good for one start, instead of the secret ID",
    )
    vault_secrets_path: str = setting("secret/mutt", "Vault KV path", pattern=r"^[^/\s]+/\S+$")
    vault_token_renew_threshold: float = setting(3600, "Renew token when TTL < N seconds", "seconds", ge=1)
    vault_renew_check_interval: float = setting(300, "Check token TTL every N seconds", "seconds", ge=1)
