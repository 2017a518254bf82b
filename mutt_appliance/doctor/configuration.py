"""Configuration, secrets file, what is left unprotected."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator

from mutt_appliance.config.checks import unprotected
from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.secrets.needed import missing, needed

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
    """The source of secrets: there, private, complete."""
    if patient.settings.vault_addr:
        yield from _secrets_in_vault(patient)
    elif patient.credentials is not None:
        place = f"systemd credentials in {patient.credentials}"
        if patient.secrets_fault:
            yield Finding(
                "secrets.credentials", "error", patient.secrets_fault, "see LoadCredential= of the unit"
            )
            return
        yield Finding("secrets.credentials", "ok", f"secrets come from {place}")
        yield from _secrets_needed(patient, place)
    else:
        yield from _secrets_in_file(patient)


def _secrets_in_vault(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    path = settings.vault_secret_id_file
    try:
        status = path.stat()
    except OSError as error:
        # A wrapping token is removed after its use.
        used = settings.vault_secret_id_wrapped and isinstance(error, FileNotFoundError)
        yield Finding(
            "secrets.secret_id",
            "n/a" if used else "error",
            f"VAULT_SECRET_ID_FILE={path}: {error.strerror}",
            "put a new wrapping token there before the next start"
            if used
            else "put the secret id there, mode 0600; run this as root or as the user that runs MUTT",
        )
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield Finding(
            "secrets.secret_id",
            "error",
            f"VAULT_SECRET_ID_FILE={path} has mode {mode:04o}: others can read it",
            f"chmod 0600 {path}, and give MUTT a new secret id",
        )
        return
    yield Finding("secrets.secret_id", "ok", f"{path}, mode {mode:04o}, owner id {status.st_uid}")
    if settings.vault_secret_id_wrapped:
        yield Finding(
            "secrets.login",
            "n/a",
            "not tried: VAULT_SECRET_ID_WRAPPED=true, and a wrapping token is good for one use",
            "mutt-ctl rotate-check asks the running appliance",
        )
    elif patient.secrets_fault:
        yield Finding(
            "secrets.login", "error", patient.secrets_fault, "docs/secrets.md has the policy and the role"
        )
    else:
        yield Finding("secrets.login", "ok", f"logged in by AppRole and read {settings.vault_secrets_path}")
        yield from _secrets_needed(patient, f"Vault at {settings.vault_secrets_path}")


def _secrets_in_file(patient: Patient) -> Iterator[Finding]:
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
    yield from _secrets_needed(patient, str(path))


def _secrets_needed(patient: Patient, place: str) -> Iterator[Finding]:
    names = missing(patient.settings, patient.secrets)
    if not names:
        yield Finding("secrets.keys", "ok", f"{', '.join(needed(patient.settings))} are set")
    elif place == str(patient.settings.mutt_secrets_file):
        yield Finding(
            "secrets.keys",
            "warning",
            f"{place} has no {', '.join(names)}",
            "MUTT makes up missing keys at its start; the key that Moogsoft gave you goes there by hand",
        )
    else:
        yield Finding(
            "secrets.keys",
            "error",
            f"{place}: no {', '.join(names)}",
            "put them there: MUTT does not start without",
        )


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
