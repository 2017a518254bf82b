"""Certificates: the files that the settings name, and what our own doors show."""

from __future__ import annotations

import contextlib
import socket
import ssl
import stat
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mutt_appliance.config import ConfigError
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.doctor.configuration import judge_expiry
from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.tls.files import PemFile, check_key, ends_of, names_of, pem_file, read_certificates
from mutt_appliance.tls.inventory import Found, in_force
from mutt_appliance.tls.own_doors import OWN_DOORS, name_expected, trusting
from mutt_appliance.tls.trust import verify_message
from mutt_appliance.tracing.door import ANY_ADDRESS

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

CONNECT_SECS = 2.0


def check_certificates(patient: Patient) -> Iterator[Finding]:
    """Each file that the settings in force name: readable, valid, with its key, for which names."""
    files = in_force(patient.settings)
    if not files:
        yield Finding("certificates", "n/a", "the settings in force need no certificate file")
    for found in files:
        yield from _file_findings(found, patient.settings.tls_expiry_warn_days)


def _file_findings(found: Found, warn_days: int) -> Iterator[Finding]:
    identity = f"certificates.{found.certificate.variable.lower()}"
    try:
        certificates = read_certificates(found.certificate)
    except ConfigError as error:
        yield _unusable(identity, error)
        return
    yield judge_expiry(identity, str(found.certificate), ends_of(certificates), time.time(), warn_days)
    if found.key is not None:
        yield _key_finding(found.key, certificates[0], found.certificate)
    if found.entry.own_door:
        yield judge_names(
            f"{identity}.names", str(found.certificate), names_of(certificates[0]), socket.getfqdn()
        )


def _unusable(identity: str, error: ConfigError) -> Finding:
    (fault,) = error.faults
    return Finding(identity, "error", f"{fault.variable}={fault.value}: {fault.problem}", fault.remedy)


def _key_finding(key: PemFile, certificate: Certificate, of: PemFile) -> Finding:
    identity = f"certificates.{key.variable.lower()}"
    try:
        check_key(key, certificate, of)
        mode = stat.S_IMODE(key.path.stat().st_mode)
    except ConfigError as error:
        return _unusable(identity, error)
    except OSError as error:
        return Finding(identity, "error", f"{key}: {error.strerror}", "is it being replaced? Look again")
    return judge_key_mode(identity, str(key), mode)


def judge_key_mode(identity: str, what: str, mode: int) -> Finding:
    """Whether a private key, which fits its certificate, is private."""
    if mode & 0o007:
        advice = (
            "chmod 0640 FILE, chown root:mutt FILE; and have it renewed if strangers have an account here"
        )
        return Finding(identity, "warning", f"{what} has mode {mode:04o}: everybody can read it", advice)
    return Finding(identity, "ok", f"{what} fits its certificate, mode {mode:04o}")


def judge_names(identity: str, what: str, names: Sequence[str], host: str) -> Finding:
    """What clients must call this machine; only something to know unless there is no name at all."""
    if not names:
        return Finding(
            identity,
            "error",
            f"{what} is for no host name (subjectAltName): clients refuse it",
            "have it issued for the names that senders and browsers use",
        )
    listed = ", ".join(names)
    if host in names or f"*.{host.partition('.')[2]}" in names:
        return Finding(identity, "ok", f"{what} is for {listed}")
    return Finding(
        identity, "n/a", f"{what} is for {listed}, not for {host}: clients must use one of its names"
    )


def check_doors(patient: Patient) -> Iterator[Finding]:
    """What the ports of the running appliance show, which may be older than the files."""
    for port_field, field in OWN_DOORS.items():
        certificate = pem_file(patient.settings, field)
        identity = f"tls.{port_field}"
        what = f"{variable_name(port_field)}={getattr(patient.settings, port_field)}"
        if certificate is None:
            plain = f"{what} speaks plain HTTP: {variable_name(field)} is not set"
            yield Finding(identity, "n/a", plain)
        elif patient.down:
            yield Finding(identity, "n/a", f"{what}: no appliance runs")
        else:
            yield _door_finding(patient, identity, what, getattr(patient.settings, port_field), certificate)


def _door_finding(patient: Patient, identity: str, what: str, port: int, certificate: PemFile) -> Finding:
    address = patient.settings.bind_address
    try:
        shown, version = _shown(ANY_ADDRESS.get(address, address), port, certificate)
        ends, same = judged(shown, certificate)
    except ConfigError as error:
        return _unusable(identity, error)
    except ssl.SSLCertVerificationError as error:
        # With a chain in the file a certificate renewed since is trusted by its issuer, without one it is not.
        return _another(identity, what, certificate, f" ({error.verify_message})")
    except ssl.SSLError as error:
        return Finding(identity, "error", f"{what}: {verify_message(error)}", "see its log: mutt-ctl tail")
    except OSError as error:
        return Finding(identity, "error", f"{what}: {error.strerror or error}", "see mutt-ctl status")
    if not same:
        return _another(identity, what, certificate)
    seen = f"{what} ({version}): its certificate"
    return judge_expiry(identity, seen, ends, time.time(), patient.settings.tls_expiry_warn_days)


def _another(identity: str, what: str, certificate: PemFile, why: str = "") -> Finding:
    seen = f"{what} shows another certificate than {certificate}{why}"
    advice = "mutt-ctl reload takes the file; let what renews it do that. If it was: who listens (ss -ltnp)?"
    return Finding(identity, "warning", seen, advice)


def _shown(address: str, port: int, certificate: PemFile) -> tuple[bytes, str]:
    """(certificate in DER, version of TLS) of a door of ours."""
    context, name = trusting(certificate), name_expected(certificate)
    plain = socket.create_connection((address, port), timeout=CONNECT_SECS)
    # A door that wants a certificate of ours says so only after it has shown its own.
    with contextlib.closing(plain), context.wrap_socket(plain, server_hostname=name) as tls:
        return tls.getpeercert(binary_form=True) or b"", tls.version() or ""


def judged(shown: bytes, certificate: PemFile) -> tuple[float, bool]:
    """(end of the certificate shown, whether it is the first of the file). Raises ConfigError."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_der_x509_certificate

    first = read_certificates(certificate)[0]
    same = first.public_bytes(Encoding.DER) == shown
    return load_der_x509_certificate(shown).not_valid_after_utc.timestamp(), same
