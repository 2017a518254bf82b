"""The steps to the secrets in Vault, each with words for what may be wrong with it."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from mutt_appliance.config import Settings
from mutt_appliance.secrets.bundle import Secrets
from mutt_appliance.secrets.errors import SecretsError, SecretsUnavailable
from mutt_appliance.secrets.leases import Token
from mutt_appliance.secrets.vault_client import VaultClient, VaultError, VaultRefused, Version

FORBIDDEN = (401, 403)


def read_secret_id(path: Path) -> str:
    """What VAULT_SECRET_ID_FILE holds; raises VaultRefused when it cannot be used, or others may read it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise VaultRefused(
                f"VAULT_SECRET_ID_FILE={path}: mode {mode:04o} lets others read it: chmod 0600 {path}"
            )
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise VaultRefused(
            f"VAULT_SECRET_ID_FILE={path}: cannot be read: {error.strerror}: put the secret id there, mode 0600"
        ) from error
    except UnicodeDecodeError as error:
        raise VaultRefused(
            f"VAULT_SECRET_ID_FILE={path}: must hold the secret id and nothing else"
        ) from error
    if not text:
        raise VaultRefused(f"VAULT_SECRET_ID_FILE={path}: is empty: put the secret id there")
    return text


def unwrap(client: VaultClient, wrapping_token: str, settings: Settings) -> str:
    """The secret id behind a wrapping token; raises VaultError."""
    try:
        return client.unwrap(wrapping_token)
    except VaultRefused as error:
        raise VaultRefused(
            f"the wrapping token in VAULT_SECRET_ID_FILE={settings.vault_secret_id_file} is expired or was used "
            f"before ({error}): if it was not this appliance at an earlier start, somebody else may have the "
            "secret id: look into Vault's audit log, destroy that secret id, and give MUTT a new wrapped one",
            error.status,
        ) from error


def log_in(client: VaultClient, settings: Settings, secret_id: str) -> Token:
    """A new token; raises VaultError."""
    try:
        return client.login(secret_id)
    except VaultRefused as error:
        raise VaultRefused(
            f"login by AppRole refused ({error}): check VAULT_ROLE_ID, VAULT_APPROLE_MOUNT="
            f"{settings.vault_approle_mount}, VAULT_NAMESPACE, and whether the secret id in "
            f"{settings.vault_secret_id_file} is still valid",
            error.status,
        ) from error


def read_version(client: VaultClient, settings: Settings) -> Version:
    """The newest version of the secrets; raises VaultError."""
    path = settings.vault_secrets_path
    try:
        return client.read()
    except VaultRefused as error:
        mount, _, rest = path.partition("/")
        text = str(error)
        if error.status == 404:
            text = (
                f"there is nothing at VAULT_SECRETS_PATH={path}, or its newest version is deleted: "
                f"vault kv put {path} … (a KV engine of version 2)"
            )
        elif error.status in FORBIDDEN:
            text = f"the role may not read {path}: give its policy read on {mount}/data/{rest}"
        raise VaultRefused(text, error.status) from error


def read_once(settings: Settings) -> Secrets:
    """The secrets for a command: log in, read, give the token back. Raises SecretsError."""
    if settings.vault_secret_id_wrapped:
        raise SecretsError(
            f"VAULT_ADDR={settings.vault_addr}: with VAULT_SECRET_ID_WRAPPED=true only the running appliance has the "
            "secret id: this command cannot log in"
        )
    client = VaultClient(settings)
    try:
        log_in(client, settings, read_secret_id(settings.vault_secret_id_file))
        secrets = Secrets.of(read_version(client, settings).values)
        with suppress(VaultError):
            client.revoke()
    except VaultRefused as error:
        raise SecretsError(f"VAULT_ADDR={settings.vault_addr}: {error}") from error
    except VaultError as error:
        raise SecretsUnavailable(f"VAULT_ADDR={settings.vault_addr}: {error}") from error
    finally:
        client.close()
    return secrets
