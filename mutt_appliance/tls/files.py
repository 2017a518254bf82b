"""PEM files that settings name: what is in them, or a fault that names variable, path and way out.

`cryptography` is imported when there is a file to read: most processes have none, and it takes its time.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.faults import Fault

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

READABLE = "name a file that the user of MUTT can read (chown root:mutt, chmod 0640)"


@dataclass(frozen=True)
class PemFile:
    """A file and the variable that names it."""

    variable: str
    path: Path

    def __str__(self) -> str:
        return f"{self.variable}={self.path}"

    def fault(self, problem: str, remedy: str) -> ConfigError:
        """What is raised when it cannot be used."""
        return ConfigError([Fault(self.variable, str(self.path), problem, remedy)])

    def read(self) -> bytes:
        """The content; raises ConfigError."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise self.fault(f"cannot be read: {error.strerror}", READABLE) from error


def pem_file(settings: Settings, field: str) -> PemFile | None:
    """The file that the setting `field` names."""
    path: Path | None = getattr(settings, field)
    return None if path is None else PemFile(variable_name(field), path)


def read_certificates(file: PemFile) -> Sequence[Certificate]:
    """All certificates of a file, at least one. Raises ConfigError."""
    from cryptography.x509 import load_pem_x509_certificates

    raw = file.read()
    try:
        return load_pem_x509_certificates(raw)
    except ValueError as error:
        raise file.fault(
            "holds no certificate that can be read", "name a PEM file (-----BEGIN CERTIFICATE-----)"
        ) from error


def ends_of(certificates: Sequence[Certificate]) -> float:
    """When the first of them ends, in seconds since 1970."""
    return min(each.not_valid_after_utc.timestamp() for each in certificates)


def names_of(certificate: Certificate) -> tuple[str, ...]:
    """Host names and addresses that it is for (RFC 6125: the common name is none)."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    return (*hosts, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def check_key(key: PemFile, certificate: Certificate, of: PemFile) -> None:
    """Raise ConfigError unless `key` holds the private key of `certificate`, which is the first in `of`."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    raw = key.read()
    try:
        private = load_pem_private_key(raw, None)
    except TypeError as error:
        problem = "has a passphrase, which nobody would enter"
        raise key.fault(problem, "openssl pkey -in FILE -out FILE writes it without; keep it 0640") from error
    except ValueError as error:
        raise key.fault(
            "holds no private key that can be read", "name a PEM file (-----BEGIN PRIVATE KEY-----)"
        ) from error
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise key.fault(
            f"is not the key of {of}", "name the two files that belong together; renew both, then reload"
        )


def load_pair(context: ssl.SSLContext, certificate: PemFile, key: PemFile) -> float:
    """Have `context` show the certificate; when it ends. Raises ConfigError, and then the context is spoilt."""
    certificates = read_certificates(certificate)
    check_key(key, certificates[0], certificate)
    try:
        context.load_cert_chain(certificate.path, key.path, password="")
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise certificate.fault(
            f"is not taken by OpenSSL with {key}: {reason}",
            "renew the certificate with a key of today's sizes",
        ) from error
    return ends_of(certificates)


def load_authorities(context: ssl.SSLContext, file: PemFile) -> float:
    """Have `context` trust the authorities of `file`; when the first of them ends. Raises ConfigError."""
    certificates = read_certificates(file)
    try:
        context.load_verify_locations(cafile=file.path)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise file.fault(f"is not taken by OpenSSL: {reason}", "name the file of the authority") from error
    return ends_of(certificates)
