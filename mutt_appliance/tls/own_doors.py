"""The doors of the appliance on this machine, as its own commands go through them."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from mutt_appliance.config import ConfigError
from mutt_appliance.config.faults import Fault
from mutt_appliance.tls.files import PemFile, names_of, read_certificates
from mutt_appliance.tls.trust import client_context

CERT_VARIABLE = "MUTT_INGEST_CLIENT_CERT_PATH"
KEY_VARIABLE = "MUTT_INGEST_CLIENT_KEY_PATH"
ClientFiles = tuple[Path, Path]
# Setting of a port -> setting of the certificate that it shows. Our other ports speak plain HTTP always.
OWN_DOORS = {
    "server_port_ingestor": "ingest_tls_cert_path",
    "server_port_webui": "webui_tls_cert_path",
}


def open_own_door(
    address: str,
    port: int,
    certificate: PemFile | None,
    *,
    timeout_secs: float,
    client_files: ClientFiles | None = None,
) -> http.client.HTTPConnection:
    """A connection to a port of ours; over TLS when `certificate` is what that port shows.

    The file itself is what is trusted, and its own name what is expected: the address of this machine is in few
    certificates, and an authority that issued it need not be known here. Raises ConfigError for a file, OSError
    for the connection.
    """
    connection = http.client.HTTPConnection(address, port, timeout=timeout_secs)
    if certificate is None:
        return connection
    context = trusting(certificate)
    if client_files is not None:
        context.load_cert_chain(*client_files, password="")
    connection.connect()
    connection.sock = context.wrap_socket(connection.sock, server_hostname=name_expected(certificate))
    return connection


def trusting(certificate: PemFile) -> ssl.SSLContext:
    """A context that trusts what is in this file, also a certificate that is no authority's. Raises ConfigError."""
    read_certificates(certificate)
    context = client_context(certificate.path)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def name_expected(certificate: PemFile) -> str:
    """A name that the first certificate of the file is for. Raises ConfigError."""
    names = names_of(read_certificates(certificate)[0])
    if not names:
        problem = "is for no host name (subjectAltName): no client of today takes it"
        raise certificate.fault(problem, "have it issued for the names that senders and browsers use")
    return names[0].replace("*", "mutt", 1)


def client_files_of(environ: Mapping[str, str] = os.environ) -> ClientFiles | None:
    """Certificate and key to show where a door asks for one. Raises ConfigError if only one of them is given."""
    certificate, key = environ.get(CERT_VARIABLE), environ.get(KEY_VARIABLE)
    if bool(certificate) != bool(key):
        missing = KEY_VARIABLE if certificate else CERT_VARIABLE
        raise ConfigError([Fault(missing, "", "is not set, but the other one is", "give both, or neither")])
    return (Path(certificate), Path(key)) if certificate and key else None
