"""What MUTT talks to outside: Moogsoft's webhook (no event is sent) and Vault."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from mutt_appliance.config import ConfigError
from mutt_appliance.doctor.configuration import judge_expiry
from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.tls.inventory import webhook_files
from mutt_appliance.tls.live import ClientTls
from mutt_appliance.tls.trust import client_context

CONNECT_SECS = 2.0
VAULT_HEALTH_PATH = "/v1/sys/health"


def check_moogsoft(patient: Patient) -> Iterator[Finding]:
    """Name, port and certificate of the webhook."""
    settings = patient.settings
    if not settings.forwarder_workers:
        yield Finding("moogsoft.webhook", "n/a", "FORWARDER_WORKERS=0: nothing is forwarded")
        return
    if not settings.moog_webhook_url:
        yield Finding(
            "moogsoft.webhook", "error", "MOOG_WEBHOOK_URL is not set", "set it, or FORWARDER_WORKERS=0"
        )
        return
    parts = urlsplit(settings.moog_webhook_url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    try:
        port = parts.port or (443 if secure else 80)
    except ValueError:
        yield Finding("moogsoft.webhook", "error", "MOOG_WEBHOOK_URL has no valid port", "correct it")
        return
    place = f"{host}:{port}"
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        yield Finding(
            "moogsoft.name",
            "error",
            f"{host} has no address: {error.strerror}",
            "check the host in MOOG_WEBHOOK_URL, and /etc/resolv.conf",
        )
        return
    yield Finding("moogsoft.name", "ok", f"{host} is {addresses[0][4][0]}")
    try:
        connection = socket.create_connection((host, port), timeout=CONNECT_SECS)
    except OSError as error:
        yield Finding(
            "moogsoft.port",
            "error",
            f"{place}: {error.strerror or error}",
            "check MOOG_WEBHOOK_URL and the firewalls between",
        )
        return
    with contextlib.closing(connection):
        yield Finding("moogsoft.port", "ok", f"{place} accepts connections")
        if secure:
            yield tls_finding(patient, connection, host, place)
        else:
            yield Finding(
                "moogsoft.tls",
                "warning",
                "MOOG_WEBHOOK_URL is http: key and alerts go unencrypted",
                "use https, unless the way is private",
            )


def tls_finding(patient: Patient, connection: socket.socket, host: str, place: str) -> Finding:
    """Whether the certificate is trusted as the forwarder would trust it, and for how long."""
    try:
        context = ClientTls(webhook_files(patient.settings)).context
        with context.wrap_socket(connection, server_hostname=host) as tls:
            certificate = tls.getpeercert() or {}
    except ConfigError as error:
        return Finding("moogsoft.tls", "error", str(error), "the forwarder cannot use this file either")
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "moogsoft.tls",
            "error",
            f"{place}: {error.verify_message}",
            "name its CA in MOOG_TLS_CA_CERT_PATH, or add it to the machine: /etc/pki/ca-trust/source/anchors, "
            "then update-ca-trust",
        )
    except OSError as error:
        return Finding("moogsoft.tls", "error", f"{place}: TLS fails: {error}", "is it really https there?")
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    warn_days = patient.settings.tls_expiry_warn_days
    return judge_expiry("moogsoft.tls", f"the certificate of {place}", ends, time.time(), warn_days)


def check_vault(patient: Patient) -> Iterator[Finding]:
    """Vault's health, only with VAULT_ADDR."""
    address = patient.settings.vault_addr
    if not address:
        yield Finding("vault.health", "n/a", "VAULT_ADDR is not set: secrets come from a file or credentials")
        return
    parts = urlsplit(address)
    host, ca_file = parts.hostname or "", patient.settings.vault_ca_cert_path
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            context = client_context(ca_file)
            connection = http.client.HTTPSConnection(host, parts.port, timeout=CONNECT_SECS, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_SECS)
    except OSError as error:
        yield Finding(
            "vault.health",
            "error",
            f"VAULT_CA_CERT_PATH={ca_file}: {error.strerror or error}",
            "name a PEM file of CA certificates that the user of MUTT can read",
        )
        return
    try:
        # Without the namespace: Vault answers this in the root namespace only.
        connection.request("GET", parts.path.rstrip("/") + VAULT_HEALTH_PATH)
        yield judge_vault(address, connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        yield Finding(
            "vault.health",
            "error",
            f"VAULT_ADDR={address}: {error}",
            "check the address, the firewall, and its certificate",
        )
    finally:
        connection.close()


def judge_vault(address: str, status: int) -> Finding:
    """The status codes of Vault's /sys/health."""
    bad = {501: "is not initialised", 503: "is sealed"}
    good = {200: "is active", 429: "is a standby", 472: "is a recovery replica", 473: "is a standby"}
    if status in good:
        return Finding("vault.health", "ok", f"Vault at {address} {good[status]}")
    return Finding(
        "vault.health",
        "error",
        f"Vault at {address} {bad.get(status, f'answers {status}')}",
        "vault operator unseal" if status == 503 else "see its log",
    )
