"""Configuration, secrets file, certificates."""

from __future__ import annotations

import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path

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


def check_certificates(patient: Patient) -> Iterator[Finding]:
    """The CA files that the settings name."""
    settings = patient.settings
    files: dict[str, Path] = {}
    redis_over_tls = settings.redis_tls_enabled and not settings.redis_on_socket
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
