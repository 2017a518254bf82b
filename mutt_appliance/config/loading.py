"""From the environment and an env file to a checked `Settings`, or to every fault at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from mutt_appliance.config.checks import cross_check
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.describe import requirement
from mutt_appliance.config.faults import ConfigError, Fault
from mutt_appliance.config.otel import otel_variables, otel_warnings
from mutt_appliance.config.settings import Settings

DEFAULT_ENV_FILE = Path("/etc/mutt/mutt.env")
_SECRETS = ("INGEST_API_KEY", "MOOG_API_KEY", "WEBUI_API_KEY", "REDIS_PASS", "DB_PASS", "REDIS_SENTINEL_PASS")
SECRET_NAMES = (*_SECRETS, *(f"{name}_NEXT" for name in _SECRETS))
# Variables that begin like ours; a typo in one of them must not pass in silence.
OWN_PREFIXES = (
    "MUTT_",
    "MOOG_",
    "ALERTER_",
    "INGEST_",
    "INGESTOR_",
    "FORWARDER_",
    "UNHANDLED_",
    "EMBEDDED_",
    "AUDIT_",
    "DISK_",
    "DLQ_",
)
# Ours, but not settings of the appliance: where the env file is, and what a test or a demo run sets.
OWN_NON_SETTINGS = frozenset(
    {
        "MUTT_ENV_FILE",
        "MUTT_INGEST_URL",
        "MUTT_INGEST_CA_PATH",
        "MUTT_INGEST_CLIENT_CERT_PATH",
        "MUTT_INGEST_CLIENT_KEY_PATH",
    }
)


@dataclass(frozen=True)
class Loaded:
    """A valid configuration and what is worth a warning about its sources."""

    settings: Settings
    warnings: tuple[str, ...]


def read_env_file(path: Path, *, required: bool) -> dict[str, str]:
    """Variables of an env file (KEY=value lines, as systemd's EnvironmentFile has them).

    A missing file is an empty one unless `required`; raises ConfigError if it cannot be read.
    """
    if not required and not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8") as stream:
            values = dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        fault = Fault(
            str(path),
            "",
            f"cannot be read: {why}",
            "settings come from a file of KEY=value lines that this user may read: --env-file, MUTT_ENV_FILE",
        )
        raise ConfigError([fault]) from error
    return {key: value for key, value in values.items() if value is not None}


def merged_variables(environ: Mapping[str, str], env_file: Path | None = None) -> dict[str, str]:
    """Every variable of the env file and of `environ`, which wins. Raises ConfigError.

    `env_file` given by the user must exist; without it MUTT_ENV_FILE, then /etc/mutt/mutt.env, is
    taken if it is there.
    """
    if env_file is not None or environ.get("MUTT_ENV_FILE"):
        from_file = read_env_file(env_file or Path(environ["MUTT_ENV_FILE"]), required=True)
    else:
        from_file = read_env_file(DEFAULT_ENV_FILE, required=False)
    return {**from_file, **environ}


def load(environ: Mapping[str, str], env_file: Path | None = None) -> Loaded:
    """Build the settings from `environ` and the env file, as `merged_variables` has them.

    An empty value counts as not set. Raises ConfigError with every fault.
    """
    merged = merged_variables(environ, env_file)
    given = {
        field: merged[variable_name(field)]
        for field in Settings.model_fields
        if merged.get(variable_name(field), "") != ""
    }
    settings, faults = _validate(given)
    faults += cross_check(settings)
    faults += _misplaced_secrets(merged)
    warnings = unknown_variables(merged) + otel_warnings(otel_variables(merged), environ)
    if faults:
        raise ConfigError(faults, warnings)
    return Loaded(settings, tuple(warnings))


def _validate(given: dict[str, Any]) -> tuple[Settings, list[Fault]]:
    """Validate field by field; a faulty one is reported and left at its default, so that the rest is checked too."""
    faults: list[Fault] = []
    try:
        return Settings.model_validate(given), faults
    except ValidationError as error:
        bad = {str(item["loc"][0]) for item in error.errors()}
    for field in sorted(bad, key=list(Settings.model_fields).index):
        info = Settings.model_fields[field]
        faults.append(
            Fault(
                variable_name(field),
                str(given[field]),
                f"must be {requirement(info)}",
                info.description or "",
            )
        )
    return Settings.model_validate({k: v for k, v in given.items() if k not in bad}), faults


def _misplaced_secrets(merged: Mapping[str, str]) -> list[Fault]:
    return [
        Fault(
            name,
            "(hidden)",
            "is a secret and must not be in the environment, where other processes can read it",
            "put it into MUTT_SECRETS_FILE as a KEY=value line",
        )
        for name in SECRET_NAMES
        if merged.get(name)
    ]


def unknown_variables(merged: Mapping[str, str]) -> list[str]:
    """Warnings for variables that look like ours but are not, with the nearest known name."""
    known = {variable_name(field) for field in Settings.model_fields}
    warnings = []
    for name in sorted(merged):
        if (
            name in known
            or name in OWN_NON_SETTINGS
            or name in SECRET_NAMES
            or not name.startswith(OWN_PREFIXES)
        ):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "see `mutt config show` for the known names"
        warnings.append(f"{name}: is not a setting of MUTT and has no effect: {hint}")
    return warnings
