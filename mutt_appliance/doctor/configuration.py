"""Configuration, secrets file, certificates."""

from __future__ import annotations

import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path

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


def check_certificates(patient: Patient) -> Iterator[Finding]:
    """The CA files that the settings name."""
    settings = patient.settings
    files: dict[str, Path] = {}
    redis_over_tls = settings.redis_tls_enabled and not settings.redis_address.startswith("/")
    if redis_over_tls and settings.redis_ca_cert_path:
        files["REDIS_CA_CERT_PATH"] = settings.redis_ca_cert_path
    if settings.db_tls_enabled and not settings.db_address.startswith("/") and settings.db_tls_ca_cert_path:
        files["DB_TLS_CA_CERT_PATH"] = settings.db_tls_ca_cert_path
    if not files:
        yield Finding("certificates", "n/a", "the settings in force need no certificate file")
    for variable, path in files.items():
        yield judge_certificates(variable, path, time.time())


def judge_certificates(variable: str, path: Path, now: float) -> Finding:
    """Whether a PEM file can be read, and when the first of its certificates expires."""
    identity = f"certificates.{variable.lower()}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        return Finding(
            identity,
            "error",
            f"{variable}={path}: {reason}",
            "name a PEM file of CA certificates that the user of MUTT can read",
        )
    ends = [ssl.cert_time_to_seconds(str(each["notAfter"])) for each in context.get_ca_certs()]
    if not ends:
        return Finding(
            identity, "error", f"{variable}={path} holds no CA certificate", "name the file of the authority"
        )
    return judge_expiry(identity, f"{variable}={path}", min(ends), now)


def judge_expiry(identity: str, what: str, ends: float, now: float) -> Finding:
    """`ends` and `now` in seconds since 1970."""
    days = int((ends - now) // DAY_SECS)
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if ends <= now:
        return Finding(identity, "error", f"{what} expired on {day}", "renew the certificate")
    if days < EXPIRY_WARNING_DAYS:
        return Finding(identity, "warning", f"{what} expires on {day}, in {days} days", "renew it in time")
    return Finding(identity, "ok", f"{what} is valid until {day}")
