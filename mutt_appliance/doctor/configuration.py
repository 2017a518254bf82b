"""Configuration, secrets file, what is left unprotected."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator

from mutt_appliance.config.checks import unprotected
from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient

EXPIRY_WARNING_DAYS = 30
DAY_SECS = 86400


def check_configuration(patient: Patient) -> Iterator[Finding]:
    """Every fault and every variable that has no effect."""
    for fault in patient.faults:
        yield Finding("config.fault", "error", fault, f"correct it in {patient.env_file} or the environment")
    for warning in patient.warnings:
        yield Finding("config.unknown", "warning", warning, f"correct or remove it in {patient.env_file}")
    if not patient.faults:
        where = str(patient.env_file) if patient.env_file.exists() else "the environment and defaults"
        yield Finding("config.valid", "ok", f"the configuration from {where} is valid")


def check_protection(patient: Patient) -> Iterator[Finding]:
    """Connections over a network that are not encrypted, or not verified."""
    remarks = unprotected(patient.settings)
    for remark in remarks:
        yield Finding("protection.network", "warning", remark, "turn TLS on, unless the way is private")
    if not remarks:
        yield Finding("protection.network", "ok", "every connection that the settings make is TLS or local")


def check_secrets(patient: Patient) -> Iterator[Finding]:
    """The secrets file: there, private, complete."""
    path = patient.settings.mutt_secrets_file
    try:
        status = path.stat()
    except FileNotFoundError:
        yield Finding(
            "secrets.file",
            "n/a" if patient.down else "warning",
            f"{path} is not there",
            "MUTT makes it at its first start" if patient.down else "check MUTT_SECRETS_FILE",
        )
        return
    except OSError as error:
        yield Finding(
            "secrets.file",
            "warning",
            f"{path}: {error.strerror}",
            "run this as root or as the user that runs MUTT",
        )
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield Finding(
            "secrets.file", "error", f"{path} has mode {mode:04o}: others can read it", f"chmod 0600 {path}"
        )
        return
    if patient.secrets_fault:
        yield Finding(
            "secrets.file",
            "error",
            patient.secrets_fault,
            "run this as root or as the user that runs MUTT",
        )
        return
    yield Finding("secrets.file", "ok", f"{path}, mode {mode:04o}, owner id {status.st_uid}")
    yield from _secrets_needed(patient)


def _secrets_needed(patient: Patient) -> Iterator[Finding]:
    settings, secrets = patient.settings, patient.secrets
    needed = {"INGEST_API_KEY": secrets.ingest_api_key, "WEBUI_API_KEY": secrets.webui_api_key}
    if settings.forwarder_workers and settings.moog_auth_scheme != "none":
        needed["MOOG_API_KEY"] = secrets.moog_api_key
    missing = [name for name, value in needed.items() if not value]
    if missing:
        yield Finding(
            "secrets.keys",
            "warning",
            f"{settings.mutt_secrets_file} has no {', '.join(missing)}",
            "MUTT makes up missing keys at its start; the key that Moogsoft gave you goes there by hand",
        )
    else:
        yield Finding("secrets.keys", "ok", f"{', '.join(needed)} are set")


def judge_expiry(
    identity: str, what: str, ends: float, now: float, warn_days: int = EXPIRY_WARNING_DAYS
) -> Finding:
    """`ends` and `now` in seconds since 1970."""
    days = int((ends - now) // DAY_SECS)
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if ends <= now:
        return Finding(identity, "error", f"{what} expired on {day}", "renew the certificate")
    if days < warn_days:
        return Finding(identity, "warning", f"{what} expires on {day}, in {days} days", "renew it in time")
    return Finding(identity, "ok", f"{what} is valid until {day}")
