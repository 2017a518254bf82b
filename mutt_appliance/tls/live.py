"""Certificates in force: read at start and again at each reload, replaced as a whole or not at all.

A new set of files becomes a new context. Connections that are there keep theirs, new ones take the new
one, and files that cannot be used leave the old one in force.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mutt_appliance.telemetry.metrics import TlsMetrics
from mutt_appliance.tls.files import PemFile, ends_of, load_authorities, load_pair, read_certificates
from mutt_appliance.tls.handshakes import Handshakes
from mutt_appliance.tls.trust import client_context

# With TLS 1.2: forward secrecy and authenticated encryption only, RFC 9325 section 4.2. TLS 1.3 has nothing else.
TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True)
class InUse:
    """A certificate that a process uses: its label in the metric, where it is from, its end in seconds since 1970."""

    label: str
    what: str
    ends: float


class Source(Protocol):
    """Where certificates in use come from."""

    def in_use(self) -> Sequence[InUse]:
        """Those in force now."""

    def reload(self) -> None:
        """Read the files again. Raises ConfigError, and then what was in force stays so."""


@dataclass(frozen=True)
class DoorFiles:
    """What a door is made of; `label` names it in metrics. `client_auth`: none, optional or required."""

    label: str
    certificate: PemFile
    key: PemFile
    client_ca: PemFile | None = None
    client_auth: str = "none"


class Door:
    """The TLS side of a port of ours. `context` stays the same object through every reload."""

    def __init__(self, files: DoorFiles, handshakes: Handshakes) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._files = files
        self._handshakes = handshakes
        self.context = _LiveContext(ssl.PROTOCOL_TLS_SERVER)
        self._in_use: Sequence[InUse] = ()
        self.reload()

    def reload(self) -> None:
        """Read the files again. Raises ConfigError, and then what was in force stays so."""
        files = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(TLS_1_2_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        context.sslobject_class = self._handshakes.observed
        found = [InUse(files.label, str(files.certificate), load_pair(context, files.certificate, files.key))]
        if files.client_ca is not None:
            ends = load_authorities(context, files.client_ca)
            found.append(InUse(f"{files.label}_client_ca", str(files.client_ca), ends))
            context.verify_mode = VERIFY[files.client_auth]
        self.context.current = context
        self._in_use = found

    def in_use(self) -> Sequence[InUse]:
        """The certificate shown, and the authorities of clients."""
        return self._in_use


def open_door(files: DoorFiles | None, metrics: TlsMetrics) -> Door | None:
    """The door that the settings want; None for plain HTTP. Raises ConfigError for files that cannot be used."""
    return None if files is None else Door(files, Handshakes(files.label, metrics.handshakes))


class _LiveContext(ssl.SSLContext):
    """What a listening server holds on to; each new connection gets the context that is in force.

    To load files into a context that is in use instead would leave a certificate without its key in it when
    the new files do not fit, and could never take an authority away.
    """

    current: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Called by the event loop for each connection."""
        return self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


@dataclass(frozen=True)
class ClientFiles:
    """What we trust and show where we begin a connection; `label` begins their names in metrics."""

    label: str
    ca: PemFile | None = None
    certificate: PemFile | None = None
    key: PemFile | None = None


class ClientTls:
    """Context for connections to one receiver; another object after each reload, so look at it anew each time."""

    def __init__(self, files: ClientFiles) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._files = files
        self._in_use: Sequence[InUse] = ()
        self.reload()

    def reload(self) -> None:
        """Read the files again. Raises ConfigError, and then what was in force stays so."""
        files, found = self._files, []
        if files.ca is not None:
            found.append(InUse(f"{files.label}_ca", str(files.ca), ends_of(read_certificates(files.ca))))
        context = client_context(files.ca.path if files.ca else None)
        if files.certificate is not None and files.key is not None:
            ends = load_pair(context, files.certificate, files.key)
            found.append(InUse(f"{files.label}_client", str(files.certificate), ends))
        self.context = context
        self._in_use = found

    def in_use(self) -> Sequence[InUse]:
        """Authorities and client certificate, where files name them."""
        return self._in_use
