"""Certificates that other servers show: when they end, and whether we would trust them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mutt_appliance.doctor.configuration import judge_expiry
from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.tls.trust import client_context, verify_message

CONNECT_SECS = 2.0
# PostgreSQL's SSLRequest: length, code (Frontend/Backend Protocol, "Message Formats"); the answer is S or N.
SSL_REQUEST = struct.pack("!II", 8, 80877103)
Prepare = Callable[[socket.socket], None]


def check_store_certificates(patient: Patient) -> Iterator[Finding]:
    """What Redis and PostgreSQL show, each host of them."""
    settings = patient.settings
    redis_enabled = (
        settings.redis_sentinels_over_tls if settings.redis_sentinels else settings.redis_tls_enabled
    )
    stores = (
        ("redis", redis_enabled, settings.redis_servers, settings.redis_ca_cert_path, straight_away),
        ("database", settings.db_tls_enabled, settings.db_hosts, settings.db_tls_ca_cert_path, ask_postgres),
    )
    for store, enabled, servers, ca_file, prepare in stores:
        if not enabled or servers[0].host.startswith(("/", "@")):
            yield Finding(f"presented.{store}", "n/a", "no TLS there: it is local, or turned off")
            continue
        for host, port in servers:
            yield presented(f"presented.{store}", host, port, ca_file, prepare, settings.tls_expiry_warn_days)


def presented(
    identity: str, host: str, port: int, ca_file: Path | None, prepare: Prepare, warn_days: int
) -> Finding:
    """One finding about the certificate of one server."""
    place = f"{host}:{port}"
    try:
        context = client_context(ca_file)
        with contextlib.closing(socket.create_connection((host, port), timeout=CONNECT_SECS)) as plain:
            prepare(plain)
            with context.wrap_socket(plain, server_hostname=host) as tls:
                certificate = tls.getpeercert() or {}
    except ssl.SSLError as error:
        advice = "is its CA in the file of the settings, and the host name one of its names?"
        return Finding(identity, "error", f"{place}: {verify_message(error)}", advice)
    except OSError as error:
        return Finding(identity, "error", f"{place}: {error.strerror or error}", "see the check of the store")
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return judge_expiry(identity, f"the certificate of {place}", ends, time.time(), warn_days)


def straight_away(_: socket.socket) -> None:
    """TLS begins with the first byte, as Redis wants it."""


def ask_postgres(plain: socket.socket) -> None:
    """PostgreSQL is asked in its own protocol first. Raises OSError when it has no TLS."""
    plain.sendall(SSL_REQUEST)
    if plain.recv(1) != b"S":
        raise OSError("it does not speak TLS")
