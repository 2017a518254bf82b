"""The one way to the secrets: which source the settings name, and how it is asked.

VAULT_ADDR is set                  -> Vault (secrets/vault.py)
systemd credentials of ours exist  -> these (secrets/credentials.py)
else                               -> MUTT_SECRETS_FILE (secrets/file.py)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mutt_appliance.config import Settings
from mutt_appliance.config.loading import SECRET_NAMES
from mutt_appliance.secrets.bundle import Secrets
from mutt_appliance.secrets.credentials import (
    OF_THE_SERVICE,
    TOGETHER,
    credentials_folder,
    read_credentials,
)
from mutt_appliance.secrets.errors import SecretsError
from mutt_appliance.secrets.file import load_secrets_file, read_secrets_file
from mutt_appliance.secrets.needed import missing


@dataclass(frozen=True)
class SourceState:
    """How a source is: whether it answers, and in words. `version` is 0 where there are none.

    `token_ends_at` is the end of the Vault token in seconds since the epoch, 0 where there is none.
    """

    kind: str
    place: str
    ok: bool
    detail: str
    version: int = 0
    token_ends_at: float = 0.0


@dataclass(frozen=True)
class News:
    """What a source that watches found: the secrets as they are now.

    `answers` is the number of the last question (`ask`) that this answers; `error` is why it has nothing newer.
    """

    secrets: Secrets
    answers: int
    error: str = ""


class Source(Protocol):
    """Where the secrets of an appliance come from, for as long as it runs."""

    @property
    def state(self) -> SourceState:
        """How it is now; from any thread."""

    def load(self) -> Secrets:
        """At the start. May take START_TIMEOUT; raises SecretsError, SecretsUnavailable."""

    def reload(self) -> Secrets:
        """At a reload, at once: what it has by now. Raises SecretsError."""

    def fits(self, settings: Settings) -> bool:
        """True when these settings name the same source, so that it need not be made anew."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Begin to look for changes; `wake` is called, in another thread, when there is news."""

    def ask(self) -> int | None:
        """Have it look now; the number that News will name, None for a source that `reload` has asked already."""

    def take(self) -> list[News]:
        """What is new since the last time."""

    def close(self) -> None:
        """Stop watching."""


class LocalSource:
    """A file or a folder: read at the start and at each reload, and never by itself."""

    def __init__(self, kind: str, place: Path, read: Callable[[], Secrets]) -> None:
        self.state = SourceState(kind, str(place), True, f"read from {place}")
        self._read = read

    def load(self) -> Secrets:
        """Read it; raises SecretsError."""
        return self._read()

    def reload(self) -> Secrets:
        """Read it again; raises SecretsError."""
        return self._read()

    def fits(self, settings: Settings) -> bool:
        """Never: making it anew costs nothing."""
        return False

    def watch(self, wake: Callable[[], None]) -> None:
        """Nothing to do."""

    def ask(self) -> None:
        """`reload` has asked."""
        return

    def take(self) -> list[News]:
        """Never any."""
        return []

    def close(self) -> None:
        """Nothing to do."""


def source_of(settings: Settings, environ: Mapping[str, str]) -> Source:
    """The source that the settings and the environment name, not yet asked."""
    if settings.vault_addr is not None:
        # Imported here: most appliances and commands do without hvac.
        from mutt_appliance.secrets.vault import VaultSource

        return VaultSource(settings)
    folder = credentials_folder(environ, SECRET_NAMES)
    if folder is not None:
        return LocalSource("credentials", folder, lambda: _of_credentials(settings, folder))
    path = settings.mutt_secrets_file
    return LocalSource("file", path, lambda: load_secrets_file(path))


def read_secrets(settings: Settings, environ: Mapping[str, str], *, make_file: bool = False) -> Secrets:
    """The secrets for a command, which also finds the credentials of the running service; what is missing is empty.

    Nothing is made or written but a missing secrets file, with `make_file`. Raises SecretsError.
    """
    if settings.vault_addr is not None:
        from mutt_appliance.secrets.vault_access import read_once

        return read_once(settings)
    folder = service_credentials(environ)
    if folder is not None:
        return read_credentials(folder, SECRET_NAMES)
    path = settings.mutt_secrets_file
    return load_secrets_file(path) if make_file else read_secrets_file(path)


def service_credentials(environ: Mapping[str, str]) -> Path | None:
    """The folder of our credentials, also for a command beside the service; None where there is none."""
    return credentials_folder({"CREDENTIALS_DIRECTORY": str(OF_THE_SERVICE), **environ}, SECRET_NAMES)


def _of_credentials(settings: Settings, folder: Path) -> Secrets:
    secrets = read_credentials(folder, SECRET_NAMES)
    names = missing(settings, secrets)
    if names:
        raise SecretsError(
            f"systemd credentials in {folder}: {', '.join(names)} missing: give each to the unit "
            f"(LoadCredential={names[0]}:FILE), or as a line {names[0]}=value of the credential {TOGETHER}"
        )
    return secrets
