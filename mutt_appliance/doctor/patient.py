"""The appliance that is looked at: its settings as far as they are right, its secrets, whether it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mutt_appliance.config import ConfigError, Settings, load
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.loading import DEFAULT_ENV_FILE, read_env_file
from mutt_appliance.secrets import Secrets, SecretsError
from mutt_appliance.secrets.source import read_secrets, service_credentials
from mutt_appliance.supervisor.pidfile import running_pid

# Settings that keep a check within its time, whatever the appliance itself may wait.
SHORT = {
    "redis_timeout": 2.0,
    "brpoplpush_timeout": 0.1,
    "db_connect_timeout": 2,
    "db_statement_timeout": 2.0,
    "db_pool_min_conn": 0,
    "vault_timeout": 2.0,
}


@dataclass(frozen=True)
class Patient:
    """What every check starts from.

    `faults` and `warnings` are those of the configuration; a setting with a fault is at its default in
    `settings`. `secrets` are empty where they cannot be read, and `secrets_fault` says why; `credentials` is the
    folder of systemd credentials if they come from there. `pid` is None when no appliance runs, "unknown" when
    this user may not know.
    """

    settings: Settings
    secrets: Secrets = field(default_factory=Secrets)
    env_file: Path = DEFAULT_ENV_FILE
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    secrets_fault: str = ""
    pid: int | Literal["unknown"] | None = None
    credentials: Path | None = None

    @property
    def down(self) -> bool:
        """True when no appliance runs for certain."""
        return self.pid is None

    @property
    def hurried(self) -> Settings:
        """The settings with short timeouts."""
        return _hurried(self.settings)


def examine(environ: Mapping[str, str], env_file: Path | None) -> Patient:
    """Read what there is; a fault in it is kept for its check and never raised."""
    path = env_file or Path(environ.get("MUTT_ENV_FILE") or DEFAULT_ENV_FILE)
    faults: tuple[str, ...] = ()
    try:
        loaded = load(environ, env_file)
        settings, warnings = loaded.settings, loaded.warnings
    except ConfigError as error:
        faults, warnings = tuple(map(str, error.faults)), error.warnings
        settings = _what_is_right(environ, path, {fault.variable for fault in error.faults})
    secrets, secrets_fault = Secrets(), ""
    try:
        secrets = read_secrets(_hurried(settings), environ)
    except SecretsError as error:
        secrets_fault = str(error)
    return Patient(
        settings,
        secrets,
        path,
        faults,
        warnings,
        secrets_fault,
        _pid(settings.mutt_runtime_dir),
        service_credentials(environ) if settings.vault_addr is None else None,
    )


def _hurried(settings: Settings) -> Settings:
    return settings.model_copy(update=SHORT)


def _what_is_right(environ: Mapping[str, str], path: Path, faulty: set[str]) -> Settings:
    try:
        merged = {**read_env_file(path, required=False), **environ}
    except (ConfigError, OSError):
        merged = dict(environ)
    names = {field: variable_name(field) for field in Settings.model_fields}
    return Settings.model_validate(
        {field: merged[name] for field, name in names.items() if merged.get(name) and name not in faulty}
    )


def _pid(runtime_dir: Path) -> int | Literal["unknown"] | None:
    try:
        return running_pid(runtime_dir)
    except OSError:
        return "unknown"


def is_root() -> bool:
    """True for the user that may read everything."""
    return os.geteuid() == 0
