"""Whom we trust: the authorities of this machine, and contexts of connections that we begin.

There is one kind of context, and it verifies: certificate, host name, TLS 1.2 or later. Only the
standard library is imported here, because programs that must start quickly use it.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

# Of the RHEL family, Debian, SUSE.
SYSTEM_CA_BUNDLES = (
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
)
# Variables by which OpenSSL is told of other authorities: openssl-env(7).
OPENSSL_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def system_ca_bundle() -> str:
    """File of the authorities this machine trusts, "system" where there is none that we know.

    The default of an OpenSSL is a folder of the machine it was built on: in a one-file executable and in a
    wheel that is nobody's.
    """
    return next((str(path) for path in SYSTEM_CA_BUNDLES if path.is_file()), "system")


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A verifying context; it trusts `ca_file` and nobody else, or without one the authorities of this machine.

    Raises OSError, of which ssl.SSLError is one, for a file that cannot be used. The strict reading of RFC 5280
    that Python has as its default from 3.13 on is left off: many an authority of an organisation fails it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    else:
        _trust_this_machine(context)
    return context


def _trust_this_machine(context: ssl.SSLContext) -> None:
    bundle = system_ca_bundle()
    if bundle == "system" or any(os.environ.get(name) for name in OPENSSL_VARIABLES):
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cafile=bundle)


def verify_message(error: BaseException | None) -> str:
    """What a failed handshake says, in a few words: "unable to get local issuer certificate"; empty if it is none."""
    while error is not None:
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        if isinstance(inner, BaseException) and inner is not error:
            error = inner
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"certificate verify failed: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return (error.reason or "no TLS").replace("_", " ").lower()
        error = error.__cause__
    return ""
